package rpc

import (
	"context"
	"encoding/json"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"towpath/connectors/httpx"
	"towpath/schema/fault"
)

// New builds a client and checks its configuration; it never dials.
func New(cfg Config) (*Client, error) {
	cfg, err := cfg.checked()
	if err != nil {
		return nil, err
	}
	return &Client{
		cfg: cfg,
		http: httpx.NewClient(httpx.Options{
			Room: "odoo", Timeout: cfg.Timeout, MaxBody: maxAnswer,
			Private: cfg.Private, Base: cfg.HTTP, Trace: cfg.Trace,
		}),
		now:    time.Now,
		login:  newOnce[int64](),
		server: newOnce[ServerInfo](),
		chosen: newOnce[string](),
		fields: map[string]cachedFields{},
	}, nil
}

// maxAnswer bounds an answer: a page of 1,000 records with images is larger
// than httpx's default, but nothing honest is larger than this.
const maxAnswer = 64 << 20

// checked fills in defaults and names the first setting that cannot work.
func (cfg Config) checked() (Config, error) {
	bad := func(field, message, resolution string) (Config, error) {
		return cfg, fault.New(fault.Invalid, "odoo.config", "%s", message).WithField(field).WithResolution("%s", resolution)
	}
	base, err := url.Parse(strings.TrimRight(strings.TrimSpace(cfg.URL), "/"))
	if err != nil || base.Host == "" || (base.Scheme != "http" && base.Scheme != "https") {
		return bad("url", "the address is not an http or https URL", "give the address as https://erp.example.com")
	}
	if base.User != nil || base.RawQuery != "" || base.Fragment != "" {
		return bad("url", "the address holds more than scheme, host and path", "give login and key in their own settings")
	}
	cfg.URL = base.String()
	if cfg.Transport == "" {
		cfg.Transport = Auto
	}
	if cfg.Transport == JSON2 && cfg.APIKey == "" {
		cfg.APIKey = cfg.Password
	}
	if cfg.Password == "" {
		cfg.Password = cfg.APIKey
	}
	switch {
	case cfg.Database == "":
		return bad("database", "no database is named", "give the name of the Odoo database")
	case cfg.Transport != Auto && cfg.Transport != JSON2 && cfg.Transport != JSONRPC && cfg.Transport != XMLRPC:
		return bad("transport", "unknown transport", "use auto, json2, jsonrpc or xmlrpc")
	case cfg.Password == "":
		return bad("api_key", "neither API key nor password is given", "make an API key in the bot user's preferences")
	case cfg.Login == "" && cfg.Transport != JSON2 && !(cfg.Transport == Auto && cfg.APIKey != ""):
		return bad("login", "no login is given", "give the bot user's login")
	}
	if cfg.Lang == "" {
		cfg.Lang = "en_US"
	}
	if cfg.TZ == "" {
		cfg.TZ = "UTC"
	}
	if cfg.Timeout == 0 {
		cfg.Timeout = 70 * time.Second
	}
	return cfg, nil
}

// Server gives the server's version, asked once. It needs no credentials.
func (c *Client) Server(ctx context.Context) (ServerInfo, error) {
	return c.server.get(ctx, func() (ServerInfo, error) { return c.askVersion(ctx) })
}

// askVersion asks in the ways that exist on some versions each. The first one
// that answers decides; a server that cannot be reached is not asked again.
func (c *Client) askVersion(ctx context.Context) (ServerInfo, error) {
	ways := []func() (json.RawMessage, error){
		func() (json.RawMessage, error) { // 14 to 21, without a database
			return c.jsonRPC(httpx.RetrySafe(ctx), "/web/webclient/version_info", map[string]any{})
		},
		func() (json.RawMessage, error) { // 19 on
			return c.get(ctx, "/web/version")
		},
		func() (json.RawMessage, error) {
			return c.jsonRPC(httpx.RetrySafe(ctx), "/jsonrpc", service("common", "version"))
		},
		func() (json.RawMessage, error) {
			return c.xmlRPC(httpx.RetrySafe(ctx), "/xmlrpc/2/common", "version")
		},
	}
	var first error
	for _, ask := range ways {
		raw, err := ask()
		if err == nil {
			var info ServerInfo
			if info, err = parseVersion(raw); err == nil {
				return info, nil
			}
		}
		if first == nil {
			first = err
		}
		if f := fault.Of(err); f.Kind == fault.Transient && f.Code != codeHTML || f.Kind == fault.RateLimited {
			return ServerInfo{}, err
		}
	}
	return ServerInfo{}, first
}

var saas = regexp.MustCompile(`saas[~-](\d+)\.(\d+)`)

// parseVersion reads both shapes: {"server_version": "19.0+e",
// "server_version_info": [19, 0, 0, "final", 0, "e"]} and /web/version's
// {"version", "version_info"}. Odoo Online's interim releases say "saas~18".
func parseVersion(raw []byte) (ServerInfo, error) {
	var said struct {
		Server  string            `json:"server_version"`
		Info    []json.RawMessage `json:"server_version_info"`
		Version string            `json:"version"`
		Short   []json.RawMessage `json:"version_info"`
	}
	if err := decode(raw, &said); err != nil {
		return ServerInfo{}, err
	}
	info := ServerInfo{Raw: said.Server}
	parts := said.Info
	if info.Raw == "" {
		info.Raw, parts = said.Version, said.Short
	}
	if m := saas.FindStringSubmatch(info.Raw); m != nil {
		info.Online = true
		info.Major, _ = strconv.Atoi(m[1])
		info.Minor, _ = strconv.Atoi(m[2])
	} else {
		major, minor, _ := strings.Cut(info.Raw, ".")
		info.Major, _ = strconv.Atoi(leadingDigits(major))
		info.Minor, _ = strconv.Atoi(leadingDigits(minor))
	}
	if info.Major == 0 && len(parts) > 1 {
		info.Major, _ = strconv.Atoi(digitsIn(string(parts[0])))
		info.Minor, _ = strconv.Atoi(digitsIn(string(parts[1])))
	}
	if info.Major == 0 {
		return ServerInfo{}, fault.New(fault.Transient, codeNotOdoo, "the address does not answer like an Odoo server").
			WithResolution("check the connection's address")
	}
	info.Version = strconv.Itoa(info.Major) + "." + strconv.Itoa(info.Minor)
	return info, nil
}

func leadingDigits(s string) string {
	end := strings.IndexFunc(s, func(r rune) bool { return r < '0' || r > '9' })
	if end < 0 {
		return s
	}
	return s[:end]
}

func digitsIn(s string) string {
	start := strings.IndexAny(s, "0123456789")
	if start < 0 {
		return ""
	}
	return leadingDigits(s[start:])
}

// UID authenticates and gives the user's id. It is asked once; a wrong login
// is a fault of kind Unauthorized, code odoo.login_refused.
func (c *Client) UID(ctx context.Context) (int64, error) {
	transport, err := c.transport(ctx)
	if err != nil {
		return 0, err
	}
	if transport == JSON2 {
		return c.login.get(ctx, func() (int64, error) {
			var who struct {
				UID int64 `json:"uid"`
			}
			err := c.Call(ctx, "res.users", "context_get", nil, nil, nil, &who)
			return who.UID, err
		})
	}
	return c.login.get(ctx, func() (int64, error) { return c.authenticate(ctx, transport) })
}

func (c *Client) authenticate(ctx context.Context, transport string) (int64, error) {
	args := []any{c.cfg.Database, c.cfg.Login, c.cfg.Password, map[string]any{}}
	safe := httpx.RetrySafe(ctx)
	var raw answer
	var err error
	if transport == XMLRPC {
		raw, err = c.xmlRPC(safe, "/xmlrpc/2/common", "authenticate", args...)
	} else {
		raw, err = c.jsonRPC(safe, "/jsonrpc", service("common", "authenticate", args...))
	}
	if err != nil {
		return 0, err
	}
	if isNothing(raw) {
		return 0, fault.New(fault.Unauthorized, "odoo.login_refused", "Odoo refuses the login").
			WithResolution("check login and API key (or password) of the connection; keys expire")
	}
	var uid int64
	return uid, decode(raw, &uid)
}

// transport decides once how calls are made.
func (c *Client) transport(ctx context.Context) (string, error) {
	if c.cfg.Transport != Auto {
		return c.cfg.Transport, nil
	}
	if c.cfg.APIKey == "" {
		return JSONRPC, nil
	}
	return c.chosen.get(ctx, func() (string, error) {
		info, err := c.Server(ctx)
		switch {
		case err != nil:
			return "", err
		case info.Major >= 19:
			return JSON2, nil
		case c.cfg.Login == "":
			return "", fault.New(fault.Invalid, "odoo.config", "this Odoo is older than 19 and needs a login beside the API key").
				WithField("login").WithResolution("give the login of the user who owns the key")
		}
		return JSONRPC, nil
	})
}
