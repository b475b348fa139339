// Package local runs jobs on this machine: it is the place behind the daemon.
//
// A job is a row of the store (cluster/local/store); what of it is not over is also held in memory, in a view that
// follows each commit. A decision comes in ([Place.Apply]), is made durable, and only then acted on:
//
//	Submit -> row [Pending] -> Changes -> (engine plans) -> Apply -> row [Starting] -> minder
//	minder: attempt directory -> agent process -> watch -> both gone -> result.json -> row [over | Pending]
//
// There is one minder, a goroutine, per living attempt. It needs no memory: what it does next follows from the row, the
// lock and the files of the attempt directory (package attempt). So a daemon that starts does with every row that is
// Starting, Running or Stopping exactly what it would have done had it never been away:
//
//	agent.json  lock   what it means                what the minder does
//	missing     free   nobody ever claimed it       starts an agent; of two, the lock lets one in
//	missing     held   an agent is claiming it      waits
//	there       held   an agent lives               adopts it
//	there       free   the agent is gone            kills what is left, waits, reads the result, ends the attempt
//
// An attempt whose order to stop came before anybody claimed it is claimed by the minder itself, so that an agent that
// comes late finds it taken. Agents are processes of their own session with their output in the attempt directory:
// nothing that happens to the daemon reaches them.
//
// Time is counted from where the last daemon left it, by the clock that does not jump ([Place.Now]). Devices are asked
// when somebody looks or GPU jobs run, never by a ticker of an idle daemon.
//
// What a plan should be is left to the planner, ranks and workers to the agent, the wire to api.
package local
