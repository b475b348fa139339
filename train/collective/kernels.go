package collective

import (
	"fmt"
	"unsafe"
)

// Float is what can be reduced.
type Float interface{ float32 | float64 }

// Element is what can be moved.
type Element interface{ Float | byte }

// Op is how values of several ranks become one.
type Op uint8

// The reductions. Mean is the sum divided by the number of ranks, once. Min and Max of a NaN and anything are NaN.
const (
	Sum Op = iota
	Mean
	Min
	Max
)

// String returns "sum", "mean", "min" or "max".
func (op Op) String() string {
	if op > Max {
		return fmt.Sprintf("op %d", uint8(op))
	}
	return [...]string{"sum", "mean", "min", "max"}[op]
}

// bytesOf shows a slice's memory. Slices travel in memory order; Join refuses peers of another byte order.
func bytesOf[T Element](s []T) []byte {
	if len(s) == 0 {
		return nil
	}
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(s))), len(s)*int(unsafe.Sizeof(s[0])))
}

// floatsOf is the way back. b must have come from bytesOf or from an aligned scratch buffer, cut at element borders.
func floatsOf[T Float](b []byte) []T {
	if len(b) == 0 {
		return nil
	}
	var zero T
	return unsafe.Slice((*T)(unsafe.Pointer(unsafe.SliceData(b))), len(b)/int(unsafe.Sizeof(zero)))
}

// aligned returns a buffer that may hold any element.
func aligned(size int) []byte { return bytesOf(make([]float64, (size+7)/8))[:size] }

func elemOf[T Element]() elem {
	var zero T
	switch any(zero).(type) {
	case float32:
		return elemFloat32
	case float64:
		return elemFloat64
	}
	return elemByte
}

// fold is the arithmetic of one reduction: dst = dst op src, and what is done once at the end.
type fold struct {
	into   func(dst, src []byte)
	divide func(dst []byte, by int) // nil: nothing
}

// foldOf picks a reduction. The cases are spelled out so that no closure is made for each call.
func foldOf(e elem, op Op) fold {
	switch {
	case op == Min && e == elemFloat32:
		return fold{into: minInto[float32]}
	case op == Min:
		return fold{into: minInto[float64]}
	case op == Max && e == elemFloat32:
		return fold{into: maxInto[float32]}
	case op == Max:
		return fold{into: maxInto[float64]}
	}
	f := fold{into: addInto[float64]}
	if e == elemFloat32 {
		f.into = addInto[float32]
	}
	if op == Mean && e == elemFloat32 {
		f.divide = divide[float32]
	} else if op == Mean {
		f.divide = divide[float64]
	}
	return f
}

func addInto[T Float](dst, src []byte) {
	d, s := floatsOf[T](dst), floatsOf[T](src)
	s = s[:len(d)]
	for len(d) >= 8 && len(s) >= 8 { // unrolled: the compiler drops the bounds checks, twice as fast
		d[0] += s[0]
		d[1] += s[1]
		d[2] += s[2]
		d[3] += s[3]
		d[4] += s[4]
		d[5] += s[5]
		d[6] += s[6]
		d[7] += s[7]
		d, s = d[8:], s[8:]
	}
	for i := range d {
		d[i] += s[i]
	}
}

func minInto[T Float](dst, src []byte) {
	d, s := floatsOf[T](dst), floatsOf[T](src)
	s = s[:len(d)]
	for i := range d {
		d[i] = min(d[i], s[i])
	}
}

func maxInto[T Float](dst, src []byte) {
	d, s := floatsOf[T](dst), floatsOf[T](src)
	s = s[:len(d)]
	for i := range d {
		d[i] = max(d[i], s[i])
	}
}

func divide[T Float](dst []byte, by int) {
	d, f := floatsOf[T](dst), T(by)
	for i := range d {
		d[i] /= f
	}
}
