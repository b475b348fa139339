// Package policy holds what is a matter of taste in planning: who goes first, which devices a type of
// job likes, who yields first, how many jobs keep a claim. One file per question. The passes of sched
// ask; no policy places anything itself, and none can make a plan untrue.
package policy
