// Package nccl carries the collectives of Go training over NVIDIA's NCCL, where there are GPUs and the library is installed.
//
//	err := train.Run(ctx, train.Options{Carrier: nccl.Find}, script)
//
// A program that does not import it links no foreign call; built with the tag nogpu neither does one that does. The script stays
// as it is: buffers are host memory, which is copied to the rank's GPU, reduced there by NCCL, and copied back. Where a
// rank finds no library or no GPU of its own, all ranks keep to shared memory and TCP, and one line says why.
//
// # How it is called
//
// libcuda and libnccl are loaded by dlopen; no toolkit is needed to build. A rank's calls are all made by one
// thread of the system, since CUDA's context belongs to a thread. The communicator does not block (NCCL 2.14 and newer): each
// call is followed by questions whether it is done, and between two of them the thread sees whether it was asked to give up.
// So a peer that dies, which the group's own connections notice, or a time limit ends in ncclCommAbort and an error that names
// the rank. Errors are told in NCCL's own words. Where even the driver does not return, the thread is given up, and
// the error says so.
//
// # What it leaves to others
//
// Small buffers, barriers and who is to blame: package collective. Data that lives on the GPU: there is no API for it here.
package nccl
