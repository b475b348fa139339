package store

import (
	"context"
	"database/sql"
	"errors"
)

// PutLessons keeps the document that says what past jobs taught.
func (tx *Tx) PutLessons(doc []byte) error {
	return tx.execute(`INSERT INTO lessons (one, doc) VALUES (1, ?1) ON CONFLICT (one) DO UPDATE SET doc = ?1`, doc)
}

// Lessons reads that document; nil: there is none yet.
func (s *Store) Lessons(ctx context.Context) ([]byte, error) {
	var doc []byte
	err := s.read.QueryRowContext(ctx, `SELECT doc FROM lessons`).Scan(&doc)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	return doc, s.trouble(err)
}
