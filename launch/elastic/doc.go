// Package elastic decides what follows when a round of an attempt has ended, and how the agents of several nodes agree on it.
//
// [Decide] is given how a round ended and what was left of the budget, and says whether there is another one, and when.
// The laws: the budget is never overdrawn, whatever ends in whatever order; an ending that the job's file does not name
// is not answered; a stop always wins.
//
// [Meeting] is one agent's part in the rendezvous of several. [Meeting.Step] takes what happened (a link came up or went
// down, somebody said something, time passed) and returns what to do (say, dial, begin, end); package rendezvous does
// it. An agent seeks, follows or leads. The leader, by a term that a majority of the last round's agents promised to
// heed, offers the next [Record]; it begins when all its members hold it, and a majority of the last round's. A survivor
// who leads next asks a majority what it holds, and so hears of every round that may have begun; that one's members
// then have a say too. This is Paxos with a membership that each decision replaces.
//
// Who lost its leader or its majority ends its workers, without grace where it only fell silent; who goes on without
// somebody silent waits [Settings.Fence] for that. The laws: at no time do two rounds run; a number is one round; ranks
// are a permutation; all members of a round know the same budget.
package elastic
