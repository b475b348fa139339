package jobfile

import (
	"bytes"
	"encoding/json"

	"gopkg.in/yaml.v3"
)

// nodesOfJSON makes the nodes of a text that is known to be one JSON value. Numbers stay as they are written.
func nodesOfJSON(data []byte) *yaml.Node {
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	r := jsonReader{data: data, decoder: decoder, line: 1, column: 1}
	return r.value()
}

// A jsonReader counts lines and columns while it goes.
type jsonReader struct {
	data         []byte
	decoder      *json.Decoder
	at           int // offset that line and column belong to
	line, column int
}

func (r *jsonReader) value() *yaml.Node {
	n := &yaml.Node{}
	n.Line, n.Column = r.next()
	token, err := r.decoder.Token()
	if err != nil {
		return n
	}
	switch token := token.(type) {
	case json.Delim:
		n.Kind, n.Tag, n.Style = yaml.SequenceNode, "!!seq", yaml.FlowStyle
		if token == '{' {
			n.Kind, n.Tag = yaml.MappingNode, "!!map"
		}
		for r.decoder.More() { // the keys of an object come as values before theirs
			n.Content = append(n.Content, r.value())
		}
		if _, err := r.decoder.Token(); err != nil {
			return n
		}
	case string:
		n.Kind, n.Tag, n.Style, n.Value = yaml.ScalarNode, "!!str", yaml.DoubleQuotedStyle, token
	case json.Number:
		n.Kind, n.Value = yaml.ScalarNode, token.String()
	case bool:
		n.Kind, n.Tag, n.Value = yaml.ScalarNode, "!!bool", "false"
		if token {
			n.Value = "true"
		}
	case nil:
		n.Kind, n.Tag, n.Value = yaml.ScalarNode, "!!null", "null"
	}
	return n
}

// next finds where the next token begins.
func (r *jsonReader) next() (line, column int) {
	to := int(r.decoder.InputOffset())
	for to < len(r.data) && bytes.IndexByte([]byte(" \t\r\n,:"), r.data[to]) >= 0 {
		to++
	}
	for _, c := range string(r.data[r.at:to]) {
		r.column++
		if c == '\n' {
			r.line, r.column = r.line+1, 1
		}
	}
	r.at = to
	return r.line, r.column
}
