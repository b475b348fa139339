// Package policy holds what is a matter of taste in planning: who goes first, which devices a type of
// job likes, who yields first, how many jobs keep a claim. One file per question. The passes of sched
// ask; no policy places anything itself, and none can make a plan untrue.
//
// Which of the nodes that fit is best is a [Scorer]'s answer. A scorer is made from what jobs ask
// ([Demand], learnt by [LearnArrival]) and from what the nodes have ([Supply]); it then sees one [Site] and
// one [Request] at a time, so a planner may keep its scores until a site changes or a new mix is out. Ours
// is [Worth]; the others are published ones to compare with.
package policy
