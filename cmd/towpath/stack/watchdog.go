package stack

import (
	"fmt"
	"io"
	"os/exec"
	"sync"
	"syscall"

	"towpath/schema/fault"
)

// watchScript notes process groups and, when its input ends without a word,
// kills what is left of them and removes the temporary folder $1. The pause
// lets the kernel's death signals do their work first, since PostgreSQL ends
// tidily by its own.
const watchScript = `
trap '' INT TERM HUP
groups=' '
while read -r verb id; do
  case $verb in
    add) groups="$groups$id " ;;
    remove) case $groups in *" $id "*) groups="${groups%%" $id "*} ${groups#*" $id "}" ;; esac ;;
    bye) exit 0 ;;
  esac
done
sleep 2
for g in $groups; do kill -s KILL -- "-$g" 2>/dev/null; done
[ -z "$1" ] || rm -rf -- "$1"
`

// watchdog is a shell that outlives us by two seconds.
type watchdog struct {
	cmd *exec.Cmd

	mu    sync.Mutex
	input io.WriteCloser
}

func startWatchdog(dir string, temp bool) (*watchdog, error) {
	if !temp {
		dir = ""
	}
	cmd := exec.Command("/bin/sh", "-c", watchScript, "towpath-stack-watchdog", dir) //nolint:noctx // it outlives us: that is its purpose
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // signals to our group are not for it
	input, err := cmd.StdinPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		return nil, fault.New(fault.Transient, "stack.watchdog", "the watchdog of the stack cannot be started").
			WithResolution("Towpath needs /bin/sh to run a local stack.").WithDetail(err.Error()).WithCause(err)
	}
	return &watchdog{cmd: cmd, input: input}, nil
}

func (w *watchdog) add(group int)    { w.tell("add %d\n", group) }
func (w *watchdog) remove(group int) { w.tell("remove %d\n", group) }

// tell ignores errors: a lost watchdog only means a little less protection.
func (w *watchdog) tell(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	fmt.Fprintf(w.input, format, args...)
}

func (w *watchdog) close() error {
	w.tell("bye\n")
	_ = w.input.Close()
	return w.cmd.Wait()
}
