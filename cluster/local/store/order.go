package store

import (
	"context"
	"database/sql"

	"ainexus.io/nexus"
)

// Await notes that a job waits for another one, or for an array. Noted twice is noted once.
func (tx *Tx) Await(job, awaited string) error {
	_, err := tx.store.statements.await.ExecContext(tx.ctx, awaited, job)
	return tx.fail(err)
}

// Waiting gives the ids of the jobs that wait for a job or an array, in the order of their submits.
func (tx *Tx) Waiting(awaited string) ([]string, error) {
	return tx.listed(tx.store.statements.waiting.QueryContext(tx.ctx, awaited))
}

// Arrived forgets who waits for a job or an array.
func (tx *Tx) Arrived(awaited string) error {
	_, err := tx.store.statements.arrived.ExecContext(tx.ctx, awaited)
	return tx.fail(err)
}

// Newest finds what an owner calls so: the job or the array of that id, else his newest of that name. Both are empty
// where there is none; a member leads to itself by its own name, and to its array by the array's.
func (tx *Tx) Newest(owner, ref string) (job, array string, err error) {
	rows, err := tx.store.conn.QueryContext(tx.ctx, `
		SELECT id, '' FROM jobs WHERE id = ?1
		UNION ALL SELECT * FROM (SELECT '', array FROM jobs WHERE array = ?1 AND array <> '' LIMIT 1)
		UNION ALL SELECT id, array FROM (
			SELECT * FROM (SELECT id, '' AS array, seq FROM jobs WHERE name = ?1 AND owner = ?2 ORDER BY seq DESC LIMIT 1)
			UNION ALL SELECT * FROM (SELECT '', array, seq FROM jobs WHERE family = ?1 AND family <> '' AND owner = ?2 ORDER BY seq DESC LIMIT 1)
			ORDER BY seq DESC LIMIT 1)`, ref, owner)
	if err != nil {
		return "", "", tx.fail(err)
	}
	defer rows.Close()
	if rows.Next() {
		err = rows.Scan(&job, &array)
	}
	if err == nil {
		err = rows.Err()
	}
	return job, array, tx.fail(err)
}

// Array tells how an array stands: the phase it ended in, Succeeded only if every member did, or an empty one as long
// as a member is not over.
func (tx *Tx) Array(id string) (nexus.Phase, error) {
	left, err := tx.ids(`SELECT id FROM jobs WHERE array = ? AND array <> '' AND over = 0 LIMIT 1`, id)
	if err != nil || len(left) > 0 {
		return "", err
	}
	other, err := tx.ids(`SELECT phase FROM jobs WHERE array = ? AND array <> '' AND phase <> 'Succeeded' ORDER BY seq LIMIT 1`, id)
	if err != nil || len(other) == 0 {
		return nexus.Succeeded, err
	}
	return nexus.Phase(other[0]), nil
}

func (tx *Tx) ids(query string, args ...any) ([]string, error) {
	return tx.listed(tx.store.conn.QueryContext(tx.ctx, query, args...))
}

func (tx *Tx) listed(rows *sql.Rows, err error) ([]string, error) {
	if err != nil {
		return nil, tx.fail(err)
	}
	defer rows.Close()
	var ids []string
	for rows.Next() {
		var id string
		if err := rows.Scan(&id); err != nil {
			return nil, tx.fail(err)
		}
		ids = append(ids, id)
	}
	return ids, tx.fail(rows.Err())
}

// Family gives the id of the newest array of that name that is not over, else of the newest; "" when there is none, or
// where [Store.Named] gives a job that comes before it by the same rule.
func (s *Store) Family(ctx context.Context, name string) (string, error) {
	ids, err := s.ids(ctx, `SELECT CASE WHEN member THEN array ELSE '' END FROM (
			SELECT * FROM (SELECT 0 AS member, '' AS array, over, seq FROM jobs WHERE name = ?1 ORDER BY over, seq DESC LIMIT 1)
			UNION ALL SELECT * FROM (SELECT 1, array, over, seq FROM jobs WHERE family = ?1 AND family <> '' ORDER BY over, seq DESC LIMIT 1)
		) ORDER BY over, seq DESC LIMIT 1`, name)
	if err != nil || len(ids) == 0 {
		return "", err
	}
	return ids[0], nil
}

// Arrays gives the ids of the arrays that begin so, at most limit of them.
func (s *Store) Arrays(ctx context.Context, prefix string, limit int) ([]string, error) {
	return s.ids(ctx, `SELECT DISTINCT array FROM jobs WHERE array >= ?1 AND array < ?2 AND array <> '' ORDER BY array LIMIT ?3`,
		prefix, prefix+"\x7f", limit)
}

// Members gives the ids of an array's members that are kept, in the order of their indices.
func (s *Store) Members(ctx context.Context, array string) ([]string, error) {
	return s.ids(ctx, `SELECT id FROM jobs WHERE array = ? AND array <> '' ORDER BY seq`, array)
}
