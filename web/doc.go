// Package web is the page: what runs, what waits and why, and the devices, as they are now.
//
// The files are embedded and served as they are: one document, one style sheet, one script, nothing to build and
// nothing fetched from elsewhere. The script speaks to the API as any other client does: it takes the token out of
// the address, keeps it for the tab's life, follows the event stream and asks again when something happened. What it
// shows it sets as text, never as markup. Who may see anything is decided by api: the page itself holds nothing.
package web
