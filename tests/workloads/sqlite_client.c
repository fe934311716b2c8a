// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A user of SQLite with what is easily forgotten: to finalize a statement, and to close a cursor
 * (on a BLOB) and a database.  Each has a twin that forgets nothing.
 *
 *	sqlite_client DIRECTORY
 */
#include <sqlite3.h>

#include "net.h"

#define TICK_MS 300
#define PLACE   "main", "items", "content", 3
#define QUERY   "select id, length(content) from items where id < 5"

static const char schema[] = "pragma synchronous = off;"
			     "create table items (id integer primary key, content blob);"
			     "insert into items select value, zeroblob(100) from"
			     " (with recursive n(value) as"
			     "  (select 1 union all select value + 1 from n where value < 9)"
			     "  select value from n)";

static const char *directory;

static void must(int status, sqlite3 *database)
{
	if (status == SQLITE_OK || status == SQLITE_ROW || status == SQLITE_DONE)
		return;
	fprintf(stderr, "%s\n", sqlite3_errmsg(database));
	_exit(1);
}

static void step(sqlite3 *database, sqlite3_stmt *statement)
{
	while (sqlite3_step(statement) == SQLITE_ROW)
		if (sqlite3_column_int(statement, 1) != 100)
			net_die("content");
	must(sqlite3_reset(statement), database);
}

SITE static void statement_not_finalized(sqlite3 *database)
{
	sqlite3_stmt *statement;

	must(sqlite3_prepare_v2(database, QUERY, -1, &statement, NULL), database); /* STATEMENT */
	step(database, statement);
}

SITE static void statement_finalized(sqlite3 *database)
{
	sqlite3_stmt *statement;

	must(sqlite3_prepare_v2(database, QUERY, -1, &statement, NULL), database);
	step(database, statement);
	must(sqlite3_finalize(statement), database);
}

SITE static void cursor_not_closed(sqlite3 *database)
{
	sqlite3_blob *cursor;
	int status = sqlite3_blob_open(database, PLACE, 0, &cursor); /* CURSOR */

	must(status, database);
}

SITE static void cursor_closed(sqlite3 *database)
{
	sqlite3_blob *cursor;
	int status = sqlite3_blob_open(database, PLACE, 0, &cursor);

	must(status, database);
	must(sqlite3_blob_close(cursor), database);
}

/* Another file for each task: all of a process's connections to one file share its locks. */
static const char *path_of(const char *name)
{
	static char path[4096];

	snprintf(path, sizeof(path), "%s/%s.db", directory, name);
	return path;
}

SITE static void database_not_closed(sqlite3 *unused)
{
	sqlite3 *database;

	must(sqlite3_open(path_of("left_open"), &database), database); /* DATABASE */
}

SITE static void database_closed(sqlite3 *unused)
{
	sqlite3 *database;

	must(sqlite3_open(path_of("opened"), &database), database);
	must(sqlite3_close(database), database);
}

/* clang-format off */
#define TASKS(X) \
	X(statement_not_finalized) X(statement_finalized) \
	X(cursor_not_closed) X(cursor_closed) \
	X(database_not_closed) X(database_closed)
/* clang-format on */
#define TASK_CALL(name) name,
#define TASK_NAME(name) #name,
static void (*const tasks[])(sqlite3 *database) = { TASKS(TASK_CALL) };
static const char *const names[] = { TASKS(TASK_NAME) };

#define TASK_COUNT (sizeof(tasks) / sizeof(tasks[0]))

int main(int argc, char **argv)
{
	sqlite3 *databases[TASK_COUNT];

	directory = argc > 1 ? argv[1] : ".";
	for (size_t i = 0; i < TASK_COUNT; i++) {
		must(sqlite3_open(path_of(names[i]), &databases[i]), databases[i]);
		must(sqlite3_exec(databases[i], schema, NULL, NULL, NULL), databases[i]);
	}
	ready_and_go();
	while (!net_stopped(TICK_MS))
		for (unsigned int i = 0; i < TASK_COUNT; i++) {
			tasks[i](databases[i]);
			truth_acquire(i, 1);
			if (i % 2)
				truth_release(i, 1);
		}
	truth_print(names, TASK_COUNT);
	wait_for("quit");
	return 0;
}
