// Package site finds out where a launcher was started: which of how many nodes this is, and where they may meet.
//
// SLURM, MPI and Kubernetes each say it in variables of their own. [Find] reads whichever are there into a [Site], the
// same for all; what nobody says is left open. It starts nothing and resolves no names: what it needs beside the
// environment is handed in as [Facts]. Whether a site counts against what the command line says is up to launch.
package site
