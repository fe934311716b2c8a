// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A client of PostgreSQL with what is easily forgotten: to clear the result of a query, to close
 * statements and cursors and clear their results, to finish a connection.  Each has a twin that
 * forgets nothing.
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

/* Of what stays for ever. */
static const char *new_name(void)
{
	static char name[32];
	static unsigned int number;

	snprintf(name, sizeof(name), "forgotten%u", number++);
	return name;
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

SITE static void statement_not_closed(PGconn *connection)
{
	PGresult *made;

	made = PQprepare(connection, new_name(), "select $1::int", 1, NULL); /* STATEMENT */
	worked(connection, made);
}

SITE static void statement_closed(PGconn *connection)
{
	PGresult *made = PQprepare(connection, "s", "select $1::int", 1, NULL);

	PQclear(worked(connection, made));
	do_and_clear(connection, "deallocate s");
}

static void cursor_declare(PGconn *connection, const char *name)
{
	char command[128];

	snprintf(command, sizeof(command),
		 "declare %s cursor with hold for select generate_series(1, 100), 'text'", name);
	do_and_clear(connection, command);
}

SITE static void cursor_not_closed(PGconn *connection)
{
	const char *name = new_name();
	char command[64];
	PGresult *rows;

	cursor_declare(connection, name);
	snprintf(command, sizeof(command), "fetch 10 from %s", name);
	rows = PQexec(connection, command); /* CURSOR */
	worked(connection, rows);
}

SITE static void cursor_closed(PGconn *connection)
{
	PGresult *rows;

	cursor_declare(connection, "c");
	rows = PQexec(connection, "fetch 10 from c");
	PQclear(worked(connection, rows));
	do_and_clear(connection, "close c");
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
	X(statement_not_closed) X(statement_closed) \
	X(cursor_not_closed) X(cursor_closed) \
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
	ready_and_go();
	connection =
		connected(PQconnectdb(conninfo)); /* now: the server ends what is idle for long */
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
