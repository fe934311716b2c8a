// SPDX-License-Identifier: GPL-2.0-or-later
#include "go/remote.h"

#include <errno.h>
#include <sys/uio.h>

#define PIECES_PER_CALL 1024 /* UIO_MAXIOV, include/uapi/linux/uio.h */
/* Each piece that cannot be read costs a call, and the target says where they are. */
#define MAX_FAILURES 64

/*
 * One call: how many pieces were read in full, or -errno.  What could not be read stops it; the bytes of
 * a piece that was read in part do not count.
 */
static long read_some(pid_t pid, struct lt_remote_piece *pieces, size_t count)
{
	struct iovec local[PIECES_PER_CALL], remote[PIECES_PER_CALL];
	size_t some = count < PIECES_PER_CALL ? count : PIECES_PER_CALL, whole = 0;
	ssize_t bytes;

	for (size_t i = 0; i < some; i++) {
		local[i] = (struct iovec){ pieces[i].to, pieces[i].len };
		remote[i] = (struct iovec){ (void *)(uintptr_t)pieces[i].address, pieces[i].len };
	}
	bytes = process_vm_readv(pid, local, some, remote, some, 0);
	if (bytes < 0)
		return errno == EFAULT ? 0 : -errno;
	for (; whole < some && pieces[whole].len <= (size_t)bytes; whole++) {
		bytes -= (ssize_t)pieces[whole].len;
		pieces[whole].ok = true;
	}
	return (long)whole;
}

int lt_remote_read_counted(pid_t pid, struct lt_remote_piece *pieces, size_t count, size_t *calls)
{
	size_t failures = 0;

	for (size_t i = 0; i < count; i++)
		pieces[i].ok = false;
	for (size_t done = 0; done < count && failures < MAX_FAILURES;) {
		size_t left = count - done;
		long whole = read_some(pid, pieces + done, left);

		++*calls;
		if (whole < 0)
			return (int)whole;
		done += (size_t)whole;
		if ((size_t)whole < left && (size_t)whole < PIECES_PER_CALL) {
			failures++;
			done++;
		}
	}
	return 0;
}

int lt_remote_read_all(pid_t pid, struct lt_remote_piece *pieces, size_t count)
{
	size_t calls = 0;

	return lt_remote_read_counted(pid, pieces, count, &calls);
}

int lt_remote_read(pid_t pid, uint64_t address, void *to, size_t len)
{
	struct lt_remote_piece piece = { .address = address, .to = to, .len = len };
	int err = lt_remote_read_all(pid, &piece, 1);

	return err ? err : piece.ok ? 0 : -EFAULT;
}
