// Package api is both ends of the wire: REST and Server-Sent Events under /api/v1, and the client that speaks them.
//
// What a place can do is named by small interfaces ([Jobs], [Control], [Fleet], [Streams], [Explainer]). [Server]
// offers them over a unix socket and over TCP; [Client] is the same interfaces again, at the other end. So a caller
// cannot tell whether it talks to the place or to a daemon.
//
//	request -> guard (who, from where, what kind) -> route -> interface -> JSON | text | event stream
//	error   -> [nexus.Error] -> problem+json (RFC 9457) -> [nexus.Error]
//
// Over the socket the kernel says who is at the other end; over TCP a token does. The job file is parsed here by
// nexus/jobfile, so that errors carry the exact place in the document that was sent. openapi.json is the description
// of the wire; a test fails when it and the code drift apart.
//
// Where jobs run, what they wait for and what is measured is left to others.
package api
