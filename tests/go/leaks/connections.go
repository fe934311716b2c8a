// SPDX-License-Identifier: GPL-2.0-or-later

// What is taken of a server or a database and never given back.
package main

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"io"
	"net"
	"net/http"
)

func init() {
	scenarios["body"] = body
	scenarios["cursor"] = cursor
	scenarios["statement"] = statement
	scenarios["connection"] = connection
	sql.Register("fake", database{})
}

func body(leak bool) func(int) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(err)
	go http.Serve(listener, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Write(make([]byte, 10000))
	}))
	url := "http://" + listener.Addr().String()
	return func(int) {
		if leak {
			readHeadOnly(url)
		} else {
			readToTheEnd(url)
		}
	}
}

func readHeadOnly(url string) string {
	answer, err := http.Get(url) // LEAK body
	must(err)
	return answer.Status
}

func readToTheEnd(url string) string {
	answer, err := http.Get(url)
	must(err)
	defer answer.Body.Close()
	io.Copy(io.Discard, answer.Body)
	return answer.Status
}

// A driver as real ones are: each connection and each statement has buffers.
type database struct{}
type connected struct{ buffer []byte }
type prepared struct{ plan []byte }
type result struct{ row int64 }

func (database) Open(string) (driver.Conn, error) {
	return &connected{make([]byte, buffer)}, nil
}

func (c *connected) Prepare(string) (driver.Stmt, error) {
	return &prepared{make([]byte, buffer)}, nil
}

func (*connected) Close() error              { return nil }
func (*connected) Begin() (driver.Tx, error) { return nil, driver.ErrSkip }
func (*prepared) Close() error               { return nil }
func (*prepared) NumInput() int              { return 0 }

func (*prepared) Exec([]driver.Value) (driver.Result, error) { return nil, driver.ErrSkip }
func (*prepared) Query([]driver.Value) (driver.Rows, error)  { return &result{}, nil }

func (*result) Columns() []string { return []string{"n"} }
func (*result) Close() error      { return nil }

func (r *result) Next(row []driver.Value) error {
	r.row++
	row[0] = r.row
	return nil // there is always one more
}

func openDatabase() *sql.DB {
	db, err := sql.Open("fake", "")
	must(err)
	return db
}

func cursor(leak bool) func(int) {
	db := openDatabase()
	return func(int) {
		rows, err := db.Query("select") // LEAK cursor
		must(err)
		var n int
		if rows.Next() { // the first row is enough
			must(rows.Scan(&n))
		}
		if !leak {
			rows.Close()
		}
	}
}

func statement(leak bool) func(int) {
	db := openDatabase()
	return func(int) {
		stmt, err := db.Prepare("select") // LEAK statement
		must(err)
		var n int
		must(stmt.QueryRow().Scan(&n))
		if !leak {
			stmt.Close()
		}
	}
}

func connection(leak bool) func(int) {
	db := openDatabase()
	return func(int) {
		conn, err := db.Conn(context.Background()) // LEAK connection
		must(err)
		must(conn.PingContext(context.Background()))
		if !leak {
			conn.Close()
		}
	}
}
