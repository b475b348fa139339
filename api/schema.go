package api

import (
	"github.com/danielgtaylor/huma/v2"
)

// These types describe how the nouns of nexus are written in JSON.
type (
	memorySchema   struct{}
	cpuSchema      struct{}
	gpuCountSchema struct{}
	rangeSchema    struct{}
	arraySchema    struct{}
	factorSchema   struct{}
	commandSchema  struct{}
	envSchema      struct{}
	durationSchema struct{}
	prioritySchema struct{}
	typeSchema     struct{}
	moneySchema    struct{}
)

func (memorySchema) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{OneOf: []*huma.Schema{{Type: huma.TypeString}, {Type: huma.TypeInteger}},
		Description: "memory in binary units, such as 40GiB; a number is bytes; rounded up to MiB"}
}

func (cpuSchema) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{OneOf: []*huma.Schema{{Type: huma.TypeNumber}, {Type: huma.TypeString}},
		Description: "logical cpus, such as 4, 0.5 or \"500m\""}
}

func (gpuCountSchema) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{OneOf: []*huma.Schema{{Type: huma.TypeInteger}, {Type: huma.TypeString, Enum: []any{"auto"}}},
		Description: "whole GPUs per node, or auto: what is free, or none"}
}

func (rangeSchema) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{OneOf: []*huma.Schema{{Type: huma.TypeInteger}, {Type: huma.TypeString}},
		Description: "a number of nodes, or a range such as 2..4"}
}

func (factorSchema) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{Type: huma.TypeNumber, Description: "above 1 and up to 4, such as 1.5"}
}

func (arraySchema) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{Type: huma.TypeString, Description: "indices, such as 0-15, 0,3,7 or 0-10:2, and %n for n at a time: 0-15%4"}
}

func (commandSchema) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{OneOf: []*huma.Schema{
		{Type: huma.TypeString}, {Type: huma.TypeArray, Items: &huma.Schema{Type: huma.TypeString}}},
		Description: "a line for /bin/sh -ec, or the program and its arguments"}
}

func (envSchema) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{OneOf: []*huma.Schema{{Type: huma.TypeString}, {
		Type: huma.TypeObject, Required: []string{"from"}, AdditionalProperties: false,
		Properties: map[string]*huma.Schema{"from": {Type: huma.TypeString, Examples: []any{"env:HF_TOKEN", "file:/run/token"}}},
	}}, Description: "a value, or where a secret comes from"}
}

func (durationSchema) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{Type: huma.TypeString, Description: "a length of time, such as 90s, 15m, 24h or 7d"}
}

func (prioritySchema) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{Type: huma.TypeString, Enum: []any{"low", "normal", "high", "critical"}}
}

func (typeSchema) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{Type: huma.TypeString, Enum: []any{"training", "inference", "preprocessing", "evaluation"}}
}

func (moneySchema) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{OneOf: []*huma.Schema{{Type: huma.TypeNumber}, {Type: huma.TypeString}},
		Description: "an amount with at most three decimals, such as 2.50"}
}

// describe adds what the types do not say.
func describe(doc *huma.OpenAPI) {
	schemas := doc.Components.Schemas.Map()
	if spec := schemas["Spec"]; spec != nil {
		spec.Required = []string{"run"} // the rest has defaults
	}
	if queue := schemas["Queue"]; queue != nil {
		queue.Required = []string{"name"}
	}
	for _, name := range []string{"Resources", "Restart", "CheckpointSpec"} {
		if schema := schemas[name]; schema != nil {
			schema.Required = nil
		}
	}
	if after := schemas["After"]; after != nil {
		after.Required = []string{"job"}
	}
	doc.Components.SecuritySchemes = map[string]*huma.SecurityScheme{
		"token":  {Type: "http", Scheme: "bearer", Description: "what `nexus token` prints; not needed over the unix socket"},
		"cookie": {Type: "apiKey", In: "cookie", Name: tokenCookie},
	}
	doc.Security = []map[string][]string{{"token": {}}, {"cookie": {}}}
}
