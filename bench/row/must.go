package row

// Must is what a figure has to reach. The zero value demands nothing.
type Must struct {
	text  string
	kind  kind
	limit float64
}

type kind uint8

const (
	nothing kind = iota
	atMost
	atLeast
	atMostTimes
	atMostMore
)

// AtMost demands ours <= limit, in the line's unit. text is how the table says it.
func AtMost(text string, limit float64) Must { return Must{text, atMost, limit} }

// AtLeast demands ours >= limit.
func AtLeast(text string, limit float64) Must { return Must{text, atLeast, limit} }

// AtMostTimes demands ours <= ratio * theirs.
func AtMostTimes(text string, ratio float64) Must { return Must{text, atMostTimes, ratio} }

// AtMostMore demands ours <= theirs + margin.
func AtMostMore(text string, margin float64) Must { return Must{text, atMostMore, margin} }

// better is how many times better ours is than other. Less is better unless the demand is a least figure.
func (m Must) better(ours, other float64) float64 {
	if m.kind == atLeast {
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
	}
	return true
}

func (m Must) words() *string {
	if m.kind == nothing {
		return nil
	}
	return &m.text
}
