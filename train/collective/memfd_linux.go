//go:build arm64 || loong64 || riscv64

package collective

import "syscall"

const sysMemfdCreate = syscall.SYS_MEMFD_CREATE
