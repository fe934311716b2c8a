// SPDX-License-Identifier: GPL-2.0-or-later
#include "stream/replay.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

#include "base/buf.h"
#include "stream/codec.h"

struct reader {
	FILE *file;
	uint64_t offset;   /* of the next byte */
	struct lt_buf buf; /* the header or record at hand, whole */
	struct lt_codec_file names;
	struct lt_codec_scratch scratch;
	struct lt_replay_result *result;
};

static void reader_done(struct reader *reader)
{
	lt_buf_free(&reader->buf);
}

__attribute__((format(printf, 3, 4))) static int refuse(struct reader *reader, int err,
							const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(reader->result->error, sizeof(reader->result->error), format, args);
	va_end(args);
	return err;
}

/* Appends size bytes to the buffer.  1; 0 where the file ends before; -errno. */
static int fetch(struct reader *reader, size_t size)
{
	uint8_t *to = lt_buf_reserve(&reader->buf, size);
	size_t got;

	if (!to)
		return lt_buf_error(&reader->buf);
	errno = 0;
	got = fread(to, 1, size, reader->file);
	reader->offset += got;
	reader->buf.len += got;
	if (got == size)
		return 1;
	if (ferror(reader->file))
		return errno ? -errno : -EIO;
	return 0;
}

/* 1; 0 where the file ends inside of its header, which then is at least a piece of ours; -errno. */
static int read_file_header(struct reader *reader)
{
	const size_t magic = sizeof(LT_RECORD_MAGIC);
	const struct lt_buf *buf = &reader->buf;
	const char *why;
	int err;

	err = fetch(reader, LT_RECORD_FILE_HEADER);
	if (err < 0)
		return err;
	if (!buf->len)
		return refuse(reader, -EBADMSG, "the file is empty");
	if (err == 0) {
		if (memcmp(buf->data, LT_RECORD_MAGIC, buf->len < magic ? buf->len : magic))
			return refuse(reader, -EBADMSG, "not a recording of leaktrace (byte 0)");
		return 0;
	}
	err = lt_codec_check_file((uint8_t *)buf->data, &why);
	if (err)
		return refuse(reader, err, "%s (byte 0)", why);
	err = fetch(reader, lt_codec_file_length((uint8_t *)buf->data));
	if (err <= 0)
		return err;
	err = lt_codec_decode_file((uint8_t *)buf->data, buf->len, &reader->names, &why);
	return err ? refuse(reader, err, "corrupt recording: %s (byte 0)", why) : 1;
}

/* 1 and the whole record in the buffer; 0 at the end of the file; -errno. */
static int read_record(struct reader *reader)
{
	uint64_t start = reader->offset;
	uint32_t length;
	int err;

	lt_buf_clear(&reader->buf);
	err = fetch(reader, LT_RECORD_HEADER);
	if (err <= 0)
		return err;
	length = lt_codec_length((uint8_t *)reader->buf.data);
	if (length > LT_RECORD_MAX)
		return refuse(reader, -EBADMSG,
			      "corrupt record at byte %llu: its length of %u is above %u",
			      (unsigned long long)start, length, (unsigned int)LT_RECORD_MAX);
	return fetch(reader, length);
}

static int deliver(struct reader *reader, lt_event_sink sink, void *context, uint64_t start)
{
	struct lt_replay_result *result = reader->result;
	struct lt_event event;
	const char *why;
	int err;

	err = lt_codec_decode((uint8_t *)reader->buf.data, reader->buf.len, &reader->names,
			      &reader->scratch, &event, &why);
	if (err < 0)
		return refuse(reader, err, "corrupt record at byte %llu: %s",
			      (unsigned long long)start, why);
	if (err > 0) {
		result->unknown_records++;
		return 0;
	}
	result->events++;
	return sink(context, &event);
}

int lt_replay_file(FILE *file, lt_event_sink sink, void *context, struct lt_replay_result *result)
{
	__attribute__((cleanup(reader_done))) struct reader reader = { .file = file,
								       .result = result };
	int err;

	*result = (struct lt_replay_result){ 0 };
	err = read_file_header(&reader);
	while (err > 0) {
		uint64_t start = reader.offset;

		err = read_record(&reader);
		if (err <= 0)
			break;
		err = deliver(&reader, sink, context, start);
		if (err)
			return err;
		err = 1;
	}
	result->truncated = err == 0 && reader.buf.len;
	return err;
}
