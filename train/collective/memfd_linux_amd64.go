package collective

const sysMemfdCreate = 319 // package syscall's list ends before it
