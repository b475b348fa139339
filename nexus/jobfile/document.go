package jobfile

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"gopkg.in/yaml.v3"
)

const smallest = `the smallest job file is one line: run: python train.py`

// load turns the text into nodes and finds the mapping that holds the job's fields.
func (d *document) load(data []byte) {
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	if len(data) > MaxSize {
		d.blame(nil, "", d.name+" is larger than 1 MiB", "a job file holds a few lines; keep data in files of its own")
		return
	}
	if line, column, what := unreadable(data); what != "" {
		d.blame(&yaml.Node{Line: line, Column: column}, "", what, "write the job as UTF-8 text")
		return
	}
	root, mistake := parseText(data)
	switch {
	case mistake != nil:
		d.blame(&yaml.Node{Line: mistake.line, Column: mistake.column}, "", mistake.text, mistake.hint)
	case root == nil || isNull(root):
		d.blame(nil, "", d.name+" is empty", smallest)
	case root.Kind != yaml.MappingNode:
		d.blame(root, "", d.name+" is "+kindOf(root)+", not fields with values", smallest)
	default:
		d.fields = d.unwrap(root)
	}
}

// parseText returns the root node of the only document in data: nil where there is none. JSON goes its
// own way, because YAML knows neither all its escapes nor all its characters.
func parseText(data []byte) (*yaml.Node, *mistake) {
	if start := bytes.TrimLeft(data, " \t\r\n"); len(start) > 0 && start[0] == '{' && json.Valid(data) {
		return nodesOfJSON(data), nil
	}
	if line, column, what := controls(data); what != "" {
		return nil, &mistake{line, column, what, `inside double quotes, write \xNN for it`}
	}
	return nodesOfYAML(data)
}

// nodesOfYAML wants one document that is not empty.
func nodesOfYAML(data []byte) (*yaml.Node, *mistake) {
	roots, wrong := everyDocument(data)
	switch {
	case wrong != nil || len(roots) == 0:
		return nil, wrong
	case len(roots) > 1:
		at := roots[1]
		return nil, &mistake{at.Line, at.Column, "a second document begins here", "write one job per file"}
	}
	return roots[0], nil
}

// everyDocument reads the documents of the stream that are not empty.
func everyDocument(data []byte) (roots []*yaml.Node, wrong *mistake) {
	defer func() {
		if recover() != nil { // the parser has assertions of its own about its input
			roots, wrong = nil, &mistake{text: "this cannot be read as YAML"}
		}
	}()
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	for {
		var doc yaml.Node
		err := decoder.Decode(&doc)
		switch {
		case errors.Is(err, io.EOF):
			return roots, nil
		case err != nil:
			return nil, syntaxMistake(data, err.Error())
		case len(doc.Content) > 0 && !isNull(doc.Content[0]):
			roots = append(roots, doc.Content[0])
		}
	}
}

// unreadable finds the first byte that is not UTF-8.
func unreadable(data []byte) (line, column int, what string) {
	if utf8.Valid(data) {
		return 0, 0, ""
	}
	at := 0
	for at < len(data) {
		r, size := utf8.DecodeRune(data[at:])
		if r == utf8.RuneError && size <= 1 {
			break
		}
		at += size
	}
	line, column = position(data, at)
	return line, column, fmt.Sprintf("byte 0x%02X is not UTF-8", data[at])
}

// controls finds the first character that YAML does not take.
func controls(data []byte) (line, column int, what string) {
	at := bytes.IndexFunc(data, func(r rune) bool {
		switch {
		case r == '\t', r == '\n', r == '\r', r == 0x85:
			return false
		}
		return r < 0x20 || r >= 0x7f && r < 0xa0 || r == 0xfeff || r == 0xfffe || r == 0xffff
	})
	if at < 0 {
		return 0, 0, ""
	}
	r, _ := utf8.DecodeRune(data[at:])
	line, column = position(data, at)
	return line, column, fmt.Sprintf("a control character (U+%04X) is not allowed", r)
}

// position tells the line and column, from 1 and in characters, of the byte at an offset.
func position(data []byte, at int) (line, column int) {
	before := data[:at]
	start := bytes.LastIndexByte(before, '\n') + 1
	return 1 + bytes.Count(before, []byte{'\n'}), 1 + utf8.RuneCount(before[start:])
}

// isNull reports whether nothing is written, or null.
func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" }

// isBare reports whether a scalar stands without quotes.
func isBare(n *yaml.Node) bool {
	return n.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle|yaml.LiteralStyle|yaml.FoldedStyle) == 0
}

// kindOf names what a node holds, without quoting it.
func kindOf(n *yaml.Node) string {
	switch {
	case n.Kind == yaml.MappingNode:
		return "fields"
	case n.Kind == yaml.SequenceNode:
		return "a list"
	case isNull(n):
		return "nothing"
	}
	switch n.ShortTag() {
	case "!!int", "!!float":
		return "a number"
	case "!!bool":
		return "true or false"
	}
	return "text"
}

// quote shows what the user wrote on one line, shortened.
func quote(text string) string {
	const most = 60
	if utf8.RuneCountInString(text) > most {
		text = strings.ToValidUTF8(text[:most], "") + "..."
	}
	return fmt.Sprintf("%q", text)
}
