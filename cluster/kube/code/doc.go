// Package code carries a directory of source code into pods: [Pack] makes one compressed archive of what a .gitignore does
// not leave out, and [Unpack] lays it out again. What is between them (Secrets, volumes) is package kube's business.
//
//	submit: Pack(dir) -> parts -> Secrets of the NexusJob ... init container: parts -> Unpack(dir)
//
// The same files make the same bytes, whenever and by whomever they are packed.
package code
