// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A client of PostgreSQL with what is easily forgotten: to clear the result of a query, of a prepared
 * statement and of a cursor, and to finish a connection.  Each has a twin that forgets nothing.
 *
 *	libpq_client CONNINFO
 */
#include <libpq-fe.h>

#include "net.h"

#define TICK_MS 300

static const char *conninfo;

static PGresult *worked(const PGconn *connection, PGresult *result)
{
	ExecStatusType status = PQresultStatus(result);

	if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK)
		net_die(PQerrorMessage(connection));
	return result;
}

static PGconn *connected(PGconn *connection)
{
	if (PQstatus(connection) != CONNECTION_OK)
		net_die(PQerrorMessage(connection));
	return connection;
}

static void do_and_clear(PGconn *connection, const char *command)
{
	PQclear(worked(connection, PQexec(connection, command)));
}

SITE static void result_not_cleared(PGconn *connection)
{
	PGresult *rows = PQexec(connection, "select generate_series(1, 9), 'text'"); /* RESULT */

	worked(connection, rows);
}

SITE static void result_cleared(PGconn *connection)
{
	PGresult *rows = PQexec(connection, "select generate_series(1, 9), 'text'");

	PQclear(worked(connection, rows));
}

SITE static void statement_not_cleared(PGconn *connection)
{
	PGresult *made = PQprepare(connection, "s", "select $1::int", 1, NULL); /* STATEMENT */

	worked(connection, made);
	do_and_clear(connection, "deallocate s");
}

SITE static void statement_cleared(PGconn *connection)
{
	PGresult *made = PQprepare(connection, "s", "select $1::int", 1, NULL);

	PQclear(worked(connection, made));
	do_and_clear(connection, "deallocate s");
}

static void cursor_open(PGconn *connection)
{
	do_and_clear(connection, "begin");
	do_and_clear(connection, "declare c cursor for select generate_series(1, 100), 'text'");
}

static void cursor_close(PGconn *connection)
{
	do_and_clear(connection, "close c");
	do_and_clear(connection, "end");
}

SITE static void cursor_not_cleared(PGconn *connection)
{
	PGresult *rows;

	cursor_open(connection);
	rows = PQexec(connection, "fetch 10 from c"); /* CURSOR */
	worked(connection, rows);
	cursor_close(connection);
}

SITE static void cursor_cleared(PGconn *connection)
{
	PGresult *rows;

	cursor_open(connection);
	rows = PQexec(connection, "fetch 10 from c");
	PQclear(worked(connection, rows));
	cursor_close(connection);
}

SITE static void connection_not_finished(PGconn *unused)
{
	PGconn *connection = PQconnectdb(conninfo); /* CONNECTION */

	connected(connection);
}

SITE static void connection_finished(PGconn *unused)
{
	PGconn *connection = PQconnectdb(conninfo);

	connected(connection);
	PQfinish(connection);
}

/* clang-format off */
#define TASKS(X) \
	X(result_not_cleared) X(result_cleared) \
	X(statement_not_cleared) X(statement_cleared) \
	X(cursor_not_cleared) X(cursor_cleared) \
	X(connection_not_finished) X(connection_finished)
/* clang-format on */
#define TASK_CALL(name) name,
#define TASK_NAME(name) #name,
static void (*const tasks[])(PGconn *connection) = { TASKS(TASK_CALL) };
static const char *const names[] = { TASKS(TASK_NAME) };

#define TASK_COUNT (sizeof(tasks) / sizeof(tasks[0]))

int main(int argc, char **argv)
{
	PGconn *connection;

	conninfo = argc > 1 ? argv[1] : "";
	connection = connected(PQconnectdb(conninfo));
	ready_and_go();
	while (!net_stopped(TICK_MS))
		for (unsigned int i = 0; i < TASK_COUNT; i++) {
			tasks[i](connection);
			truth_acquire(i, 1);
			if (i % 2)
				truth_release(i, 1);
		}
	truth_print(names, TASK_COUNT);
	wait_for("quit");
	return 0;
}
