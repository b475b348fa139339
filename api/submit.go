package api

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"path/filepath"
	"reflect"

	"github.com/danielgtaylor/huma/v2"

	"ainexus.io/nexus"
	"ainexus.io/nexus/jobfile"
)

// submitInput is the request as it came. The job file is parsed by jobfile, not by huma: its errors name the place.
type submitInput struct {
	Key     string `header:"Idempotency-Key" maxLength:"128" doc:"a submit with the same key returns the first one's job"`
	Dir     string `query:"dir" doc:"the absolute directory that workdir is relative to, where the body is the job file itself"`
	Hold    bool   `query:"hold" doc:"the job waits until it is released"`
	DryRun  bool   `query:"dry_run" doc:"submit nothing: say what would become of the job"`
	RawBody []byte `contentType:"application/json"`
}

// submitOutput is the job, made durable, or with dry_run what would become of it.
type submitOutput struct {
	Status   int
	Location string `header:"Location"`
	Body     any    // nexus.Job or nexus.Forecast
}

func (s *Server) addSubmit(api huma.API) {
	op := operation(http.MethodPost, "/jobs", "submit-job", "Submit a job; it is durable when this returns")
	op.DefaultStatus = http.StatusCreated
	op.MaxBodyBytes = maxBody
	op.SkipValidateBody = true
	schemas := api.OpenAPI().Components.Schemas
	spec := schemas.Schema(reflect.TypeFor[nexus.Spec](), true, "Spec")
	op.RequestBody = &huma.RequestBody{Required: true, Content: map[string]*huma.MediaType{"application/json": {
		Schema: &huma.Schema{OneOf: []*huma.Schema{spec, {
			Type: huma.TypeObject, Required: []string{"job"}, AdditionalProperties: false,
			Description: "the job file with what was captured where it was submitted",
			Properties: map[string]*huma.Schema{
				"job":     spec,
				"dir":     {Type: huma.TypeString, Description: "absolute; workdir is relative to it"},
				"env":     {Type: huma.TypeObject, AdditionalProperties: &huma.Schema{Type: huma.TypeString}, Description: "what the job inherits"},
				"secrets": {Type: huma.TypeObject, AdditionalProperties: &huma.Schema{Type: huma.TypeString}, Description: "the values behind from: env:NAME; kept in memory only"},
			},
		}}},
	}}}
	answer := func(what string, of reflect.Type, name string) *huma.Response {
		return &huma.Response{Description: what, Content: map[string]*huma.MediaType{"application/json": {Schema: schemas.Schema(of, true, name)}}}
	}
	op.Responses["201"] = answer("the job, or the first member of an array, made durable", reflect.TypeFor[nexus.Job](), "Job")
	op.Responses["200"] = answer("with dry_run: what would become of it", reflect.TypeFor[nexus.Forecast](), "Forecast")
	huma.Register(api, op, func(ctx context.Context, in *submitInput) (*submitOutput, error) {
		sub, err := readSubmission(in)
		if err != nil {
			return nil, problemOf(err)
		}
		sub.User, sub.Key = userOf(ctx), in.Key
		if in.DryRun {
			forecast, err := s.deps.Forecaster.Forecast(ctx, sub)
			if err != nil {
				return nil, problemOf(err)
			}
			return &submitOutput{Status: http.StatusOK, Body: forecast}, nil
		}
		job, err := s.deps.Jobs.Submit(ctx, sub)
		if err != nil {
			return nil, problemOf(err)
		}
		return &submitOutput{Status: http.StatusCreated, Location: Prefix + "/jobs/" + job.ID, Body: shown(job)}, nil
	})
}

// readSubmission takes a job file as it is, or wrapped as {"job": ...}.
func readSubmission(in *submitInput) (Submission, error) {
	sub := Submission{Dir: in.Dir, Hold: in.Hold}
	document := in.RawBody
	var keys map[string]json.RawMessage
	if json.Unmarshal(in.RawBody, &keys) == nil && keys["job"] != nil {
		var wrapped submitBody
		decoder := json.NewDecoder(bytes.NewReader(in.RawBody))
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(&wrapped); err != nil {
			return sub, &nexus.Error{Code: nexus.CodeInvalid, Message: "the body is not a submission: " + err.Error(),
				Hint: "a submission has job, dir, env and secrets"}
		}
		document, sub.Env, sub.Secrets = wrapped.Job, wrapped.Env, wrapped.Secrets
		if wrapped.Dir != "" {
			sub.Dir = wrapped.Dir
		}
	}
	spec, _, err := jobfile.Parse(document, jobfile.Options{Name: "body"})
	if err != nil {
		return sub, err
	}
	sub.Spec = spec
	switch {
	case sub.Dir != "" && !filepath.IsAbs(sub.Dir):
		return sub, &nexus.Error{Code: nexus.CodeInvalid, Field: "dir", Message: "dir is not an absolute path"}
	case sub.Dir == "" && !filepath.IsAbs(spec.Workdir):
		return sub, &nexus.Error{Code: nexus.CodeInvalid, Field: "workdir", Message: "workdir is relative, and the request does not say to what",
			Hint: "make workdir absolute, or send the directory as ?dir=/path"}
	}
	return sub, nil
}
