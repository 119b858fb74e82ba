// SPDX-License-Identifier: MIT
// The log: one line an event on standard error (or syslog's place after --daemon: the file given to log_open_file).
#ifndef HVFS_NODE_LOG_H
#define HVFS_NODE_LOG_H

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARN, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

// Lines above this level are not written. At first: info.
void log_set_level(enum log_level level);
enum log_level log_get_level(void);

// The node's name, printed in each line.
void log_set_name(const char *name);

// printf-like. At most some hundred lines of one format in ten seconds, unless the level is debug: the rest is counted.
// Control characters in the text are replaced, so that a peer's name can not forge lines. log_warn adds
// the meaning of errno, the others do not.
void log_error(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_warn(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_warnx(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_info(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_debug(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
