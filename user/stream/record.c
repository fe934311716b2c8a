// SPDX-License-Identifier: GPL-2.0-or-later
#include "stream/record.h"

#include <errno.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "stream/codec.h"

#define FLUSH_BYTES (256 << 10) /* large writes; a record of any legal size fits behind them */

struct lt_recorder {
	FILE *file;
	int error; /* the first, for ever */
	size_t used;
	uint8_t buffer[FLUSH_BYTES + LT_RECORD_HEADER + LT_RECORD_MAX];
};

int lt_recorder_flush(struct lt_recorder *recorder)
{
	if (recorder->error)
		return recorder->error;
	errno = 0;
	if (fwrite(recorder->buffer, 1, recorder->used, recorder->file) != recorder->used ||
	    fflush(recorder->file))
		recorder->error = errno ? -errno : -EIO;
	recorder->used = 0;
	return recorder->error;
}

int lt_recorder_open(struct lt_recorder **result, FILE *file)
{
	_lt_free_ struct lt_recorder *recorder = malloc(sizeof(*recorder));
	int size;

	if (!recorder)
		return -ENOMEM;
	recorder->file = file;
	recorder->error = 0;
	size = lt_codec_encode_file(recorder->buffer, sizeof(recorder->buffer));
	if (size < 0)
		return size;
	recorder->used = (size_t)size;
	if (lt_recorder_flush(recorder))
		return recorder->error;
	*result = lt_take_ptr(recorder);
	return 0;
}

int lt_recorder_write(struct lt_recorder *recorder, const struct lt_event *event)
{
	int size;

	if (recorder->error)
		return recorder->error;
	size = lt_codec_encode(recorder->buffer + recorder->used,
			       sizeof(recorder->buffer) - recorder->used, event);
	if (size < 0)
		return size; /* refused; the recording goes on without it */
	recorder->used += (size_t)size;
	return recorder->used < FLUSH_BYTES ? 0 : lt_recorder_flush(recorder);
}

int lt_recorder_close(struct lt_recorder *recorder)
{
	int err;

	if (!recorder)
		return 0;
	err = lt_recorder_flush(recorder);
	if (fclose(recorder->file) && !err)
		err = -errno;
	free(recorder);
	return err;
}
