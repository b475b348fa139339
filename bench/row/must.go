package row

import "math"

// Must is what a figure has to reach. The zero value demands nothing.
type Must struct {
	text  string
	kind  kind
	limit float64
	least float64 // of [Between]
}

type kind uint8

const (
	nothing kind = iota
	atMost
	atLeast
	atMostTimes
	atMostMore
	atLeastTimes
	atLeastLess
	near
	between
	more
)

// AtMost demands ours <= limit, in the line's unit. text is how the table says it.
func AtMost(text string, limit float64) Must { return Must{text: text, kind: atMost, limit: limit} }

// AtLeast demands ours >= limit.
func AtLeast(text string, limit float64) Must { return Must{text: text, kind: atLeast, limit: limit} }

// AtMostTimes demands ours <= ratio * theirs.
func AtMostTimes(text string, ratio float64) Must {
	return Must{text: text, kind: atMostTimes, limit: ratio}
}

// AtMostMore demands ours <= theirs + margin.
func AtMostMore(text string, margin float64) Must {
	return Must{text: text, kind: atMostMore, limit: margin}
}

// AtLeastTimes demands ours >= ratio * theirs.
func AtLeastTimes(text string, ratio float64) Must {
	return Must{text: text, kind: atLeastTimes, limit: ratio}
}

// AtLeastLess demands ours >= theirs - margin.
func AtLeastLess(text string, margin float64) Must {
	return Must{text: text, kind: atLeastLess, limit: margin}
}

// Near demands that ours is within margin of theirs, on either side.
func Near(text string, margin float64) Must { return Must{text: text, kind: near, limit: margin} }

// Between demands least <= ours <= most.
func Between(text string, least, most float64) Must {
	return Must{text: text, kind: between, limit: most, least: least}
}

// rounding is what a difference of two decimal figures may be off by.
const rounding = 1e-9

// More demands nothing; more is better.
func More() Must { return Must{kind: more} }

// better is how many times better ours is than other. Less is better unless the demand is a least figure; where neither
// side is better, as with Near, it is how many times theirs ours is.
func (m Must) better(ours, other float64) float64 {
	switch m.kind {
	case atLeast, atLeastTimes, atLeastLess, near, more:
		return ours / other
	}
	return other / ours
}

// holds is false for a NaN that the demand looks at.
func (m Must) holds(ours, theirs float64) bool {
	switch m.kind {
	case atMost:
		return ours <= m.limit
	case atLeast:
		return ours >= m.limit
	case atMostTimes:
		return ours <= m.limit*theirs
	case atMostMore:
		return ours <= theirs+m.limit
	case atLeastTimes:
		return ours >= m.limit*theirs
	case atLeastLess:
		return ours >= theirs-m.limit-rounding
	case near:
		return math.Abs(ours-theirs) <= m.limit+rounding
	case between:
		return m.least <= ours && ours <= m.limit
	}
	return true
}

func (m Must) words() *string {
	if m.text == "" {
		return nil
	}
	return &m.text
}
