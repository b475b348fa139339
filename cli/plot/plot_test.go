package plot

import (
	"bytes"
	"encoding/xml"
	"errors"
	"image/png"
	"io"
	"math"
	"strings"
	"testing"
)

func sample() Figure {
	return Figure{Title: "a <title> & more", Charts: []Chart{
		{Title: "GPUs in use (%)", X: "days", Top: 100, Lines: []Line{
			{Name: "one", Points: []Point{{0, 0}, {1, 50}, {2, 100}}},
			{Name: "two", Points: []Point{{0, 100}, {1, math.NaN()}, {2, 0}}},
		}},
		{Title: "jobs (%)", X: "time", Log: true, Marks: []Mark{{1, "1 s"}, {60, "1 min"}}, Lines: []Line{
			{Name: "one", Points: []Point{{0, 0}, {1, 0.5}, {100, 1}}},
		}},
		{Title: "nothing", Lines: []Line{{Name: "empty"}}},
	}}
}

// The picture is well-formed, and what others named cannot break out of it.
func TestSVG(t *testing.T) {
	var b bytes.Buffer
	if err := SVG(&b, sample()); err != nil {
		t.Fatal(err)
	}
	d := xml.NewDecoder(strings.NewReader(b.String()))
	curves := 0
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if e, ok := token.(xml.StartElement); ok && e.Name.Local == "polyline" {
			curves++
		}
	}
	if curves != 3 || strings.Contains(b.String(), "NaN") || strings.Contains(b.String(), "Inf") || strings.Contains(b.String(), "<title>") {
		t.Errorf("%d curves\n%s", curves, b.String())
	}
}

// The pixels are those of the same picture: its lines have their colours, and most of it is paper.
func TestPNG(t *testing.T) {
	var b bytes.Buffer
	if err := PNG(&b, sample()); err != nil {
		t.Fatal(err)
	}
	img, err := png.Decode(&b)
	if err != nil {
		t.Fatal(err)
	}
	if size := img.Bounds().Size(); size.X != width*scale || size.Y != (headHeight+3*height)*scale {
		t.Fatalf("it is %s", size)
	}
	paper, first := 0, 0
	want := rgb(colours()[0])
	for y := range img.Bounds().Dy() {
		for x := range img.Bounds().Dx() {
			r, g, bl, _ := img.At(x, y).RGBA()
			switch {
			case r == 0xffff && g == 0xffff && bl == 0xffff:
				paper++
			case uint8(r>>8) == want.R && uint8(g>>8) == want.G && uint8(bl>>8) == want.B:
				first++
			}
		}
	}
	if all := img.Bounds().Dx() * img.Bounds().Dy(); first < 1000 || paper < all*8/10 || paper == all {
		t.Errorf("%d of %d pixels are paper, %d of the first line", paper, all, first)
	}
}

func TestMarksAreRoundAndFew(t *testing.T) {
	for _, most := range []float64{0.003, 1, 7, 14, 99, 100, 512, 26936} {
		m := marksTo(most)
		if len(m) < 3 || len(m) > 7 || m[0].At != 0 || m[len(m)-1].At > most*1.001 {
			t.Errorf("up to %g: %v", most, m)
		}
	}
}
