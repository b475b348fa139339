package plot

import (
	"math"
	"strconv"
)

// Figure is a picture of charts one below the other.
type Figure struct {
	Title  string
	Charts []Chart
}

// Chart has lines over two axes. What is not finite, and with Log what is not positive, is left out.
type Chart struct {
	Title string  // says what goes up, and in what unit
	X     string  // says what goes right, and in what unit
	Log   bool    // to the right
	Marks []Mark  // to the right; nil: round numbers
	Top   float64 // of the upward axis, which begins at 0; 0: as high as the lines
	Lines []Line
}

// Mark is a place on an axis with a name.
type Mark struct {
	At   float64
	Text string
}

// Line is a name and points that a line joins.
type Line struct {
	Name   string
	Points []Point
}

// Point is a place in a chart.
type Point struct{ X, Y float64 }

// canvas is what a figure is drawn on. Its unit is a point of the screen, and y goes down.
type canvas interface {
	rule(x1, y1, x2, y2 float64, colour string)
	curve(points []Point, colour string)
	write(x, y float64, at anchor, bold bool, colour, text string)
}

// anchor says which end of a text is at its place.
type anchor int

const (
	start anchor = iota
	middle
	end
)

// The measures of a figure.
const (
	width      = 960
	headHeight = 36
	height     = 270 // of a chart
	left       = 70
	right      = 24
	above      = 44 // of a chart's plane: its title and its legend
	below      = 44
)

const (
	ink  = "#222222"
	pale = "#d9d9d9"
)

// colours tell lines apart, for most colour-blind people too.
func colours() []string {
	return []string{"#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000"}
}

func (f Figure) size() (w, h int) { return width, headHeight + height*len(f.Charts) }

func (f Figure) draw(c canvas) {
	c.write(left, 24, start, true, ink, f.Title)
	for i, chart := range f.Charts {
		chart.draw(c, float64(headHeight+i*height))
	}
}

// plane is where the lines of a chart go, and what its edges mean.
type plane struct {
	left, right, top, bottom float64 // on the canvas
	x0, x1, y1               float64
	log                      bool
}

func (p plane) at(q Point) (Point, bool) {
	if math.IsNaN(q.Y) || math.IsInf(q.Y, 0) || math.IsNaN(q.X) || math.IsInf(q.X, 0) || p.log && q.X <= 0 {
		return Point{}, false
	}
	x, x0, x1 := q.X, p.x0, p.x1
	if p.log {
		x, x0, x1 = math.Log10(x), math.Log10(x0), math.Log10(x1)
	}
	return Point{p.left + (x-x0)/(x1-x0)*(p.right-p.left), p.bottom - q.Y/p.y1*(p.bottom-p.top)}, true
}

func (c Chart) draw(to canvas, top float64) {
	p := c.plane(top)
	to.write(left, top+16, start, true, ink, c.Title)
	for _, m := range marksTo(p.y1) {
		at, _ := p.at(Point{p.x0, m.At})
		to.rule(p.left, at.Y, p.right, at.Y, pale)
		to.write(p.left-8, at.Y+4, end, false, ink, m.Text)
	}
	marks := c.Marks
	if marks == nil {
		marks = marksTo(p.x1)
	}
	for _, m := range marks {
		if at, ok := p.at(Point{m.At, 0}); ok && at.X >= p.left-0.5 && at.X <= p.right+0.5 {
			to.rule(at.X, p.bottom, at.X, p.bottom+4, ink)
			to.write(at.X, p.bottom+18, middle, false, ink, m.Text)
		}
	}
	to.rule(p.left, p.bottom, p.right, p.bottom, ink)
	to.write(p.right, p.bottom+34, end, false, ink, c.X)
	for i, line := range c.Lines {
		colour := colours()[i%len(colours())]
		var points []Point
		for _, q := range line.Points {
			if at, ok := p.at(q); ok {
				points = append(points, at)
			}
		}
		to.curve(points, colour)
		x := p.left + float64(i)*150
		to.rule(x, top+32, x+18, top+32, colour)
		to.write(x+24, top+36, start, false, ink, line.Name)
	}
}

// plane finds the edges that hold all lines.
func (c Chart) plane(top float64) plane {
	p := plane{left: left, right: width - right, top: top + above, bottom: top + height - below, log: c.Log, y1: c.Top}
	first := true
	for _, line := range c.Lines {
		for _, q := range line.Points {
			if c.Log && q.X <= 0 || math.IsNaN(q.X) || math.IsInf(q.X, 0) {
				continue
			}
			if first {
				p.x0, p.x1, first = q.X, q.X, false
			}
			p.x0, p.x1 = min(p.x0, q.X), max(p.x1, q.X)
			if c.Top == 0 && !math.IsNaN(q.Y) && !math.IsInf(q.Y, 0) {
				p.y1 = max(p.y1, q.Y)
			}
		}
	}
	if c.Log {
		p.x0 = math.Pow(10, math.Floor(math.Log10(max(p.x0, 1e-9))))
		p.x1 = max(p.x1, 10*p.x0)
	} else if p.x1 <= p.x0 {
		p.x1 = p.x0 + 1
	}
	if p.y1 <= 0 {
		p.y1 = 1
	}
	return p
}

// marksTo are a handful of round numbers from 0 to most.
func marksTo(most float64) []Mark {
	step := math.Pow(10, math.Floor(math.Log10(most)))
	for _, f := range []float64{0.1, 0.2, 0.5, 1, 2} {
		if most/(step*f) <= 6 {
			step *= f
			break
		}
	}
	var marks []Mark
	for i := 0; float64(i)*step <= most*1.0001; i++ {
		marks = append(marks, Mark{float64(i) * step, strconv.FormatFloat(float64(i)*step, 'g', 6, 64)})
	}
	return marks
}
