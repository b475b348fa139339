package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"ainexus.io/nexus"
)

// Client is a daemon at the other end of the wire. It is [Jobs], [Control], [Checkpoints], [Fleet], [Streams] and [Explainer], and knows [Queues]; its
// errors are [nexus.Error] or [nexus.Errors], with [nexus.CodeUnavailable] where nobody answers.
type Client struct {
	http  *http.Client
	base  string // without a slash at the end
	token string
	where string // for people
}

// NewSocketClient returns a client of the daemon that listens on the unix socket at path.
func NewSocketClient(path string) *Client {
	dialer := net.Dialer{Timeout: 5 * time.Second}
	transport := &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return dialer.DialContext(ctx, "unix", path) },
	}
	return &Client{http: &http.Client{Transport: transport}, base: "http://localhost", where: path}
}

// NewTCPClient returns a client of the daemon at addr: host:port, or a URL with http or https.
func NewTCPClient(addr, token string) (*Client, error) {
	if !strings.Contains(addr, "://") {
		addr = "http://" + addr
	}
	u, err := url.Parse(addr)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, &nexus.Error{Code: nexus.CodeInvalid, Message: fmt.Sprintf("%q is not the address of a daemon", addr),
			Hint: "an address is host:port, or a URL such as https://nexus.example.org"}
	}
	// A token must not follow a redirect to somebody else.
	refuse := func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	transport := &http.Transport{
		Proxy:       http.ProxyFromEnvironment,
		DialContext: (&net.Dialer{Timeout: 10 * time.Second}).DialContext,
	}
	client := &http.Client{Transport: transport, CheckRedirect: refuse}
	return &Client{http: client, base: strings.TrimRight(u.Scheme+"://"+u.Host+u.Path, "/"), token: token, where: u.Host}, nil
}

// Close drops the connections that wait for another request.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Version asks which daemon answers. One that does not speak this version of the API is [nexus.CodeConflict].
func (c *Client) Version(ctx context.Context) (Version, error) {
	v, err := get[Version](ctx, c, "/version", nil)
	var e *nexus.Error
	if errors.As(err, &e) && e.Code == nexus.CodeNotFound {
		err = &nexus.Error{Code: nexus.CodeConflict, Message: "the daemon at " + c.where + " speaks another version of the API",
			Hint: "use the program of its own release, or end it and start this one: nexus up"}
	}
	return v, err
}

// Submit makes the job durable. User is the daemon's to say: the submission's is not sent.
func (c *Client) Submit(ctx context.Context, s Submission) (nexus.Job, error) {
	var job nexus.Job
	return job, c.submit(ctx, s, url.Values{}, &job)
}

// Forecast says what would become of a submission.
func (c *Client) Forecast(ctx context.Context, s Submission) (nexus.Forecast, error) {
	var f nexus.Forecast
	return f, c.submit(ctx, s, url.Values{"dry_run": {"true"}}, &f)
}

func (c *Client) submit(ctx context.Context, s Submission, query url.Values, answer any) error {
	spec, err := json.Marshal(s.Spec)
	if err != nil {
		return fmt.Errorf("writing the job file: %w", err)
	}
	if s.Hold {
		query.Set("hold", "true")
	}
	body := submitBody{Job: spec, Dir: s.Dir, Env: s.Env, Secrets: s.Secrets}
	return c.do(ctx, call{method: http.MethodPost, path: "/jobs", query: query, body: body, key: s.Key}, answer)
}

// Job returns one job.
func (c *Client) Job(ctx context.Context, ref string) (JobView, error) {
	return get[JobView](ctx, c, jobPath(ref, ""), nil)
}

// List returns a page of jobs, newest first.
func (c *Client) List(ctx context.Context, f Filter) ([]JobView, error) {
	q := url.Values{}
	for _, phase := range f.Phases {
		q.Add("phase", string(phase))
	}
	if len(q["phase"]) > 1 {
		q.Set("phase", strings.Join(q["phase"], ","))
	}
	for key, value := range map[string]string{"queue": f.Queue, "user": f.User, "name": f.Name, "array": f.Array, "before": f.Before} {
		if value != "" {
			q.Set(key, value)
		}
	}
	if f.Live {
		q.Set("live", "true")
	}
	if f.Limit > 0 {
		q.Set("limit", strconv.Itoa(f.Limit))
	}
	page, err := get[JobList](ctx, c, "/jobs", q)
	return page.Jobs, err
}

// Why explains why a job waits.
func (c *Client) Why(ctx context.Context, ref string) (nexus.Why, error) {
	return get[nexus.Why](ctx, c, jobPath(ref, "/why"), nil)
}

// Checkpoints lists the work that a job saved.
func (c *Client) Checkpoints(ctx context.Context, ref string, quick bool) ([]nexus.Saved, error) {
	q := url.Values{}
	if quick {
		q.Set("quick", "true")
	}
	list, err := get[CheckpointList](ctx, c, jobPath(ref, "/checkpoints"), q)
	return list.Checkpoints, err
}

// Cancel stops a job for good.
func (c *Client) Cancel(ctx context.Context, ref string) (Changed, error) {
	return c.change(ctx, http.MethodPost, jobPath(ref, "/cancel"), struct{}{})
}

// Requeue puts a job back in line.
func (c *Client) Requeue(ctx context.Context, ref string) (Changed, error) {
	return c.change(ctx, http.MethodPost, jobPath(ref, "/requeue"), struct{}{})
}

// Hold keeps a job that waits from starting. Who holds it is the daemon's to say: by is not sent.
func (c *Client) Hold(ctx context.Context, ref, _ string) (Changed, error) {
	return c.change(ctx, http.MethodPost, jobPath(ref, "/hold"), struct{}{})
}

// Release lets a held job start.
func (c *Client) Release(ctx context.Context, ref string) (Changed, error) {
	return c.change(ctx, http.MethodPost, jobPath(ref, "/release"), struct{}{})
}

// SetPriority changes a job's priority.
func (c *Client) SetPriority(ctx context.Context, ref string, p nexus.Priority) (Changed, error) {
	return c.change(ctx, http.MethodPatch, jobPath(ref, ""), patchBody{Priority: p.String()})
}

// Nodes lists the nodes.
func (c *Client) Nodes(ctx context.Context) ([]NodeView, error) {
	list, err := get[NodeList](ctx, c, "/nodes", nil)
	return list.Nodes, err
}

func (c *Client) change(ctx context.Context, method, path string, body any) (job Changed, err error) {
	return job, c.do(ctx, call{method: method, path: path, body: body}, &job)
}

func jobPath(ref, rest string) string { return "/jobs/" + url.PathEscape(ref) + rest }

// Ready asks whether the daemon takes jobs.
func (c *Client) Ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	response, err := c.open(ctx, call{method: http.MethodGet, outside: true, path: "/ready"})
	if err != nil {
		return err
	}
	return response.Body.Close()
}
