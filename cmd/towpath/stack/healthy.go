package stack

import (
	"context"
	"fmt"
	"net/http"
)

// Healthy asks a server of ours by GET and wants 200: what a [ProcessSpec]'s
// Ready is made of.
func Healthy(ctx context.Context, url string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	req.Close = true // a kept connection would be a dead one after a kill
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	_ = res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %s", url, res.Status)
	}
	return nil
}
