// Package attempt is the directory through which a place and an agent talk about one attempt of a job.
//
// Both sides may die at any moment, so each file has one writer, is replaced whole, and says the same
// thing however often it is read:
//
//	order.json     place   once, before the agent starts: all that the agent needs
//	lock           agent   flock held for as long as the agent lives; the verdict on its life
//	agent.json     agent   its identity; an attempt that has one was claimed and is never begun again
//	stop.json      place   asks the agent to end the attempt
//	status.json    agent   what it is doing now (not fsynced: a hint)
//	rounds.json    agent   the record of the budget, durable before each round begins
//	ack.json       rank 0  the acknowledged checkpoint
//	result.json    agent   how it ended, durable, the agent's last word
//	agent.log      agent   what it logs
//	progress/R.json        worker R's step()
//	logs/ROUND/R.log       worker R's output, the newest 64 MiB; R.log.1 what came before, as much again (proc.Rotated)
//	logs/ROUND/R.error.json  what worker R says was its error (torchelastic's format), where it does
//	logs/ROUND/R.stack  where worker R was when it was asked, where it listens to SIGUSR1; "pid N" before that
//	logs/0/setup.log       the output of setup, which runs once, before round 0
//
// An attempt is over only when its lock is free and no process of it is left.
package attempt
