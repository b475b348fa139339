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

// fold is the arithmetic of one reduction: dst = a op b, where dst may be a or b, and what is done once at the end.
type fold struct {
	into   func(dst, a, b []byte)
	divide func(dst []byte, by int) // nil: nothing
}

// foldOf picks a reduction. The cases are spelled out so that no closure is made for each call.
func foldOf(e elem, op Op) fold {
	switch {
	case op == Min && e == elemFloat32:
		return fold{into: least[float32]}
	case op == Min:
		return fold{into: least[float64]}
	case op == Max && e == elemFloat32:
		return fold{into: most[float32]}
	case op == Max:
		return fold{into: most[float64]}
	}
	f := fold{into: addFloat64}
	if e == elemFloat32 {
		f.into = addFloat32
	}
	if op == Mean && e == elemFloat32 {
		f.divide = divide[float32]
	} else if op == Mean {
		f.divide = divide[float64]
	}
	return f
}

// add is the sum in plain Go. The vectors of addFloat32 and addFloat64, where they are built, give the same bits.
func add[T Float](dst, a, b []byte) {
	d, x, y := floatsOf[T](dst), floatsOf[T](a), floatsOf[T](b)
	x, y = x[:len(d)], y[:len(d)]
	for len(d) >= 8 && len(x) >= 8 && len(y) >= 8 { // unrolled, and arrays have no bounds to check: much faster
		d8, x8, y8 := (*[8]T)(d), (*[8]T)(x), (*[8]T)(y)
		a0, a1, a2, a3 := x8[0]+y8[0], x8[1]+y8[1], x8[2]+y8[2], x8[3]+y8[3]
		a4, a5, a6, a7 := x8[4]+y8[4], x8[5]+y8[5], x8[6]+y8[6], x8[7]+y8[7]
		d8[0], d8[1], d8[2], d8[3] = a0, a1, a2, a3
		d8[4], d8[5], d8[6], d8[7] = a4, a5, a6, a7
		d, x, y = d[8:], x[8:], y[8:]
	}
	for i := range d {
		d[i] = x[i] + y[i]
	}
}

func least[T Float](dst, a, b []byte) {
	d, x, y := floatsOf[T](dst), floatsOf[T](a), floatsOf[T](b)
	x, y = x[:len(d)], y[:len(d)]
	for i := range d {
		d[i] = min(x[i], y[i])
	}
}

func most[T Float](dst, a, b []byte) {
	d, x, y := floatsOf[T](dst), floatsOf[T](a), floatsOf[T](b)
	x, y = x[:len(d)], y[:len(d)]
	for i := range d {
		d[i] = max(x[i], y[i])
	}
}

func divide[T Float](dst []byte, by int) {
	d, f := floatsOf[T](dst), T(by)
	for i := range d {
		d[i] /= f
	}
}
