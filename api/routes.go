package api

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"reflect"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"ainexus.io/nexus"
)

// newRoutes puts everything that the server answers on one mux.
func (s *Server) newRoutes() http.Handler {
	mux := http.NewServeMux()
	s.addRoutes(mux)
	mux.HandleFunc("GET /health", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "ok\n") })
	mux.HandleFunc("GET /ready", s.ready)
	if s.deps.Metrics != nil {
		mux.Handle("GET /metrics", s.deps.Metrics)
	}
	mux.HandleFunc("/api/", func(w http.ResponseWriter, r *http.Request) {
		writeProblem(w, 0, &nexus.Error{Code: nexus.CodeNotFound, Message: "there is no " + r.Method + " " + r.URL.Path,
			Hint: "/openapi.json lists what there is"})
	})
	if s.deps.Page != nil {
		mux.Handle("/", s.deps.Page)
	}
	return mux
}

// addRoutes puts what is below [Prefix] on the mux, and returns its description.
func (s *Server) addRoutes(mux humago.Mux) *huma.OpenAPI {
	api := humago.New(mux, newConfig())
	s.addJobs(api)
	s.addSubmit(api)
	s.addControl(api)
	s.addFleet(api)
	s.addQueues(api)
	s.addStreams(api)
	describe(api.OpenAPI())
	return api.OpenAPI()
}

func (s *Server) ready(w http.ResponseWriter, _ *http.Request) {
	if s.deps.Ready != nil {
		if err := s.deps.Ready(); err != nil {
			writeProblem(w, http.StatusServiceUnavailable, &nexus.Error{Code: nexus.CodeUnavailable, Message: err.Error()})
			return
		}
	}
	io.WriteString(w, "ready\n")
}

// newConfig is huma's, without the pages and links that it adds by itself.
func newConfig() huma.Config {
	config := huma.DefaultConfig("AI-Nexus", "1")
	config.CreateHooks = nil
	config.DocsPath, config.SchemasPath = "", ""
	config.RejectUnknownQueryParameters = true
	config.Info.Description = "Submits GPU jobs, tells how they stand and why they wait."
	config.Info.License = &huma.License{Name: "Apache-2.0", Identifier: "Apache-2.0"}
	schemas := config.Components.Schemas
	for t, alias := range map[reflect.Type]reflect.Type{
		reflect.TypeFor[nexus.MiB]():      reflect.TypeFor[memorySchema](),
		reflect.TypeFor[nexus.CPU]():      reflect.TypeFor[cpuSchema](),
		reflect.TypeFor[nexus.GPUCount](): reflect.TypeFor[gpuCountSchema](),
		reflect.TypeFor[nexus.Range]():    reflect.TypeFor[rangeSchema](),
		reflect.TypeFor[nexus.Factor]():   reflect.TypeFor[factorSchema](),
		reflect.TypeFor[nexus.Array]():    reflect.TypeFor[arraySchema](),
		reflect.TypeFor[nexus.Command]():  reflect.TypeFor[commandSchema](),
		reflect.TypeFor[nexus.EnvValue](): reflect.TypeFor[envSchema](),
		reflect.TypeFor[nexus.Duration](): reflect.TypeFor[durationSchema](),
		reflect.TypeFor[nexus.Priority](): reflect.TypeFor[prioritySchema](),
		reflect.TypeFor[nexus.Type]():     reflect.TypeFor[typeSchema](),
		reflect.TypeFor[nexus.Money]():    reflect.TypeFor[moneySchema](),
	} {
		schemas.RegisterTypeAlias(t, alias)
	}
	return config
}

// operation describes a route below [Prefix].
func operation(method, path, id, summary string) huma.Operation {
	return huma.Operation{
		OperationID: id, Method: method, Path: Prefix + path, Summary: summary,
		Tags:      []string{strings.Split(strings.Trim(path, "/"), "/")[0]},
		Responses: map[string]*huma.Response{},
	}
}

// jobRef names one job.
type jobRef struct {
	Ref string `path:"ref" maxLength:"256" doc:"the job's id, a prefix of it of at least four characters, or its name"`
}

// body is an answer of one JSON value.
type body[T any] struct{ Body T }

// reply makes an answer, or the problem that the error is.
func reply[T any](value T, err error) (*body[T], error) {
	if err != nil {
		return nil, problemOf(err)
	}
	return &body[T]{value}, nil
}

// listQuery is [Filter] on the wire.
type listQuery struct {
	Phases []string `query:"phase" enum:"Pending,Starting,Running,Stopping,Succeeded,Failed,Cancelled" doc:"only jobs in one of these phases, separated by commas"`
	Queue  string   `query:"queue"`
	User   string   `query:"user"`
	Name   string   `query:"name" doc:"of a job or of its array"`
	Array  string   `query:"array" doc:"only members of the array with this id"`
	Live   bool     `query:"live" doc:"leave out jobs that are over"`
	Limit  int      `query:"limit" minimum:"1" maximum:"1000" default:"200"`
	Before string   `query:"before" doc:"the next of the page before: go on after that job"`
}

func (s *Server) addJobs(api huma.API) {
	list := operation(http.MethodGet, "/jobs", "list-jobs", "List jobs, newest first")
	huma.Register(api, list, func(ctx context.Context, q *listQuery) (*body[JobList], error) {
		f := Filter{Queue: q.Queue, User: q.User, Name: q.Name, Array: q.Array, Live: q.Live, Limit: q.Limit, Before: q.Before}
		for _, phase := range q.Phases {
			f.Phases = append(f.Phases, nexus.Phase(phase))
		}
		jobs, err := s.deps.Jobs.List(ctx, f)
		page := JobList{Jobs: nonNil(jobs)}
		for i := range page.Jobs {
			page.Jobs[i].Job = shown(page.Jobs[i].Job)
		}
		if len(jobs) == q.Limit {
			page.Next = jobs[len(jobs)-1].ID
		}
		return reply(page, err)
	})
	get := operation(http.MethodGet, "/jobs/{ref}", "get-job", "Show one job")
	huma.Register(api, get, func(ctx context.Context, in *jobRef) (*body[JobView], error) {
		view, err := s.deps.Jobs.Job(ctx, in.Ref)
		view.Job = shown(view.Job)
		return reply(view, err)
	})
	why := operation(http.MethodGet, "/jobs/{ref}/why", "explain-job", "Say why a job waits, what would start it, and when it will")
	huma.Register(api, why, func(ctx context.Context, in *jobRef) (*body[nexus.Why], error) {
		job, err := s.deps.Jobs.Job(ctx, in.Ref)
		if err != nil {
			return nil, problemOf(err)
		}
		why := nexus.Why{Job: job.ID, Phase: job.Phase, Sentence: over(job.Job)}
		if !job.Phase.Over() {
			why, err = s.deps.Explainer.Why(ctx, job.ID)
		}
		if g := job.Growth; g != nil {
			why.Notes = append(why.Notes, g.Sentence())
		}
		if job.Status != nil {
			for _, s := range job.Status.Suspects {
				why.Notes = append(why.Notes, s.Sentence())
			}
		}
		why.Notes = append(why.Notes, job.Usage()...)
		return reply(why, err)
	})
	checkpoints := operation(http.MethodGet, "/jobs/{ref}/checkpoints", "list-checkpoints", "List the work that a job saved, and whether it is whole")
	type checkpointsQuery struct {
		Ref   string `path:"ref" maxLength:"256"`
		Quick bool   `query:"quick" doc:"compare sizes only, not checksums"`
	}
	huma.Register(api, checkpoints, func(ctx context.Context, in *checkpointsQuery) (*body[CheckpointList], error) {
		list, err := s.deps.Checkpoints.Checkpoints(ctx, in.Ref, in.Quick)
		return reply(CheckpointList{Checkpoints: nonNil(list)}, err)
	})
}

// over says how a job ended that waits for nothing any more.
func over(job nexus.Job) string {
	text := "it does not wait: it is over (" + string(job.Phase) + ")"
	if job.Result != nil && job.Result.Message != "" {
		text += ": " + job.Result.Message
	}
	return text
}

func (s *Server) addControl(api huma.API) {
	cancel := operation(http.MethodPost, "/jobs/{ref}/cancel", "cancel-job", "Cancel a job; one that runs may save its work first")
	huma.Register(api, cancel, func(ctx context.Context, in *jobRef) (*body[Changed], error) {
		return changed(s.deps.Control.Cancel(ctx, in.Ref))
	})
	requeue := operation(http.MethodPost, "/jobs/{ref}/requeue", "requeue-job", "Put a job back in line")
	huma.Register(api, requeue, func(ctx context.Context, in *jobRef) (*body[Changed], error) {
		return changed(s.deps.Control.Requeue(ctx, in.Ref))
	})
	hold := operation(http.MethodPost, "/jobs/{ref}/hold", "hold-job", "Keep a job that waits from starting until it is released")
	huma.Register(api, hold, func(ctx context.Context, in *jobRef) (*body[Changed], error) {
		return changed(s.deps.Control.Hold(ctx, in.Ref, userOf(ctx)))
	})
	release := operation(http.MethodPost, "/jobs/{ref}/release", "release-job", "Let a held job start")
	huma.Register(api, release, func(ctx context.Context, in *jobRef) (*body[Changed], error) {
		return changed(s.deps.Control.Release(ctx, in.Ref))
	})
	patch := operation(http.MethodPatch, "/jobs/{ref}", "change-job", "Change a job's priority")
	type patchInput struct {
		Ref  string `path:"ref" maxLength:"256"`
		Body patchBody
	}
	huma.Register(api, patch, func(ctx context.Context, in *patchInput) (*body[Changed], error) {
		var p nexus.Priority
		if err := p.UnmarshalText([]byte(in.Body.Priority)); err != nil {
			return nil, problemOf(&nexus.Error{Code: nexus.CodeInvalid, Field: "priority", Message: err.Error()})
		}
		return changed(s.deps.Control.SetPriority(ctx, in.Ref, p))
	})
}

// changed is reply for a job.
func changed(c Changed, err error) (*body[Changed], error) {
	c.Job = shown(c.Job)
	return reply(c, err)
}

// shown is a job as others may see it.
func shown(job nexus.Job) nexus.Job {
	job.Spec = Redact(job.Spec)
	return job
}

func (s *Server) addFleet(api huma.API) {
	huma.Register(api, operation(http.MethodGet, "/nodes", "list-nodes", "List nodes with their devices"),
		func(ctx context.Context, _ *struct{}) (*body[NodeList], error) {
			nodes, err := s.deps.Fleet.Nodes(ctx)
			return reply(NodeList{nonNil(nodes)}, err)
		})
	huma.Register(api, operation(http.MethodGet, "/version", "get-version", "Say which daemon answers"),
		func(context.Context, *struct{}) (*body[Version], error) {
			return reply(Version{
				Version: s.opts.Version, API: strings.TrimPrefix(Prefix, "/api/"), PID: os.Getpid(), State: s.opts.State,
				Addr: s.opts.Addr, Started: s.started, Automatic: s.opts.Automatic,
			}, nil)
		})
}

// nonNil makes a list that JSON writes as [] where it is empty.
func nonNil[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

// Document is the OpenAPI description of the wire, as /openapi.json serves it, indented.
func Document() ([]byte, error) {
	doc, err := json.MarshalIndent(new(Server).addRoutes(http.NewServeMux()), "", "  ")
	return append(doc, '\n'), err
}
