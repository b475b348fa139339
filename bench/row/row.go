package row

import (
	"math"
	"strings"
)

// Row is one measured figure.
type Row struct {
	What   string   `json:"what"`
	Ours   *float64 `json:"ours"`   // nil: not measured
	Theirs *float64 `json:"theirs"` // the peer's figure in the same run; nil: there is no peer, or it was not measured
	Unit   string   `json:"unit"`
	// Ratio is how many times better we are than the peer or, where there is no peer, than what must be: above 1 is
	// better, whether the figure counts up or down. Nil where that makes no number.
	Ratio *float64 `json:"ratio"`
	Must  *string  `json:"must"` // as the table has it; nil: nothing is demanded
	OK    bool     `json:"ok"`   // what must hold does; true where nothing is demanded
	Why   string   `json:"why,omitempty"`
}

// Line is a line of the table before it is measured.
type Line struct {
	What string
	Unit string
	Must Must
}

// Against is the row of a line with a peer.
func (l Line) Against(ours, theirs float64) Row {
	r := l.row(ours)
	r.Theirs = number(theirs)
	switch {
	case r.Theirs == nil:
		r.Why = "the peer's figure is no number"
		return r
	case r.Ours == nil:
		r.Why = "our figure is no number"
		return r
	}
	r.Ratio = number(l.Must.better(ours, theirs))
	r.OK = l.Must.holds(ours, theirs)
	return r
}

// Alone is the row of a line without a peer.
func (l Line) Alone(ours float64) Row {
	r := l.row(ours)
	if r.Ours == nil {
		r.Why = "our figure is no number"
		return r
	}
	if l.Must.kind == atMost || l.Must.kind == atLeast {
		r.Ratio = number(l.Must.better(ours, l.Must.limit))
	}
	r.OK = l.Must.holds(ours, math.NaN())
	return r
}

// Missing is the row of a line that could not be measured.
func (l Line) Missing(why error) Row {
	return Row{What: l.What, Unit: l.Unit, Must: l.Must.words(), Why: oneLine(why.Error())}
}

// oneLine keeps a reason in its row: what a compiler says has several lines.
func oneLine(text string) string {
	return strings.Join(strings.FieldsFunc(text, func(r rune) bool { return r == '\n' || r == '\r' || r == '\t' }), "; ")
}

func (l Line) row(ours float64) Row {
	return Row{What: l.What, Ours: number(ours), Unit: l.Unit, Must: l.Must.words()}
}

// number keeps what JSON has no word for out of a row.
func number(x float64) *float64 {
	if math.IsNaN(x) || math.IsInf(x, 0) {
		return nil
	}
	return &x
}
