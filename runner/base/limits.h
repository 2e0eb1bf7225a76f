/* SPDX-License-Identifier: Apache-2.0 */
/* Every maximum of the program in one table. */
#ifndef MIDWATCH_BASE_LIMITS_H
#define MIDWATCH_BASE_LIMITS_H

#define KIB 1024u
#define MIB (1024u * KIB)

enum {
    RUNBOOK_BYTES_MAX = 1 * MIB,        /* one .md file */
    MODULE_BYTES_MAX = 256 * KIB,       /* one Lua file of a bundle */
    YAML_BYTES_MAX = 1 * MIB,
    YAML_DEPTH_MAX = 32,
    YAML_NODES_MAX = 100000,
    JSON_DEPTH_MAX = 64,
    JSON_NODES_MAX = 1000000,           /* above what VALUE_BYTES_MAX can hold */
    VALUE_BYTES_MAX = 1 * MIB,          /* one canonical value that crosses the gate */
    PAYLOAD_BYTES_MAX = 1 * MIB,        /* one journal row */
    HTTP_BODY_MAX = 16 * MIB,           /* an answer, unless the request says less */
    PROC_OUTPUT_MAX = 1 * MIB,          /* stdout or stderr of a child */
    LOG_LINE_MAX = 4 * KIB,
    VM_MEMORY_MAX = 64 * MIB,           /* one run's Lua state */
    VM_STRING_REP_MAX = 16 * MIB,
    VM_INDEX_MAX = 1 << 24,             /* largest index that table functions touch */
    GATE_READS_MAX = 256,               /* reads of one observe */
    LABEL_BYTES_MAX = 60,               /* the name of one of them */
    TITLE_BYTES_MAX = 1000,             /* of a remedy, hypothesis, wait; the name of a journal row */
    TARGET_BYTES_MAX = 511,             /* instance:target */
    RUN_ROWS_MAX = 1000000,             /* journal rows of one run */
};

#endif
