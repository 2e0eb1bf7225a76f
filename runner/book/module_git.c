/* SPDX-License-Identifier: Apache-2.0 */
/* Reading a commit with libgit2. Paths are walked folder by folder, so that a
 * symbolic link or a submodule on the way is named; sizes are asked before
 * contents are loaded; a reference is looked up by name and never parsed as a
 * revision expression, which could search or follow reflogs. */
#include "book/module_git_ref.h"

#include "base/limits.h"
#include "base/str.h"

#include <git2/sys/repository.h>

#include <stdlib.h>

#define TREE_BYTES_MAX (16 * MIB)       /* one folder */
#define LFS_POINTER "version https://git-lfs.github.com/spec/"

struct git_commit_files {
    git_repository *repo;
    git_odb *odb;
    git_tree *tree;
    git_attr_options attributes;
    struct git_facts facts;
};

/* Once per process. No file outside the repository has a say, and whose the repository is does not matter: it is
 * read, nothing of it is run. Partial clones and worktree settings change nothing in the objects. */
static int start(struct err *e)
{
    static const int levels[] = {GIT_CONFIG_LEVEL_PROGRAMDATA, GIT_CONFIG_LEVEL_SYSTEM, GIT_CONFIG_LEVEL_XDG,
                                 GIT_CONFIG_LEVEL_GLOBAL};
    static const char *extensions[] = {"partialclone", "worktreeconfig"};
    static bool started;
    size_t i;

    if (started)
        return 0;
    if (git_libgit2_init() < 0)
        return err_set(e, ERR_INTERNAL, "git: libgit2 cannot start: %s", git_why());
    for (i = 0; i < sizeof(levels) / sizeof(levels[0]); i++)
        git_libgit2_opts(GIT_OPT_SET_SEARCH_PATH, levels[i], "");
    git_libgit2_opts(GIT_OPT_SET_OWNER_VALIDATION, 0);
    git_libgit2_opts(GIT_OPT_SET_EXTENSIONS, extensions, (size_t)2);
    started = true;
    return 0;
}

const char *git_why(void)
{
    const git_error *x = git_error_last();

    return x && x->message ? x->message : "no reason given";
}

static void close_files(struct git_commit_files *g)
{
    if (!g)
        return;
    git_tree_free(g->tree);
    git_odb_free(g->odb);
    git_repository_free(g->repo);
    free(g->facts.root);
    free(g);
}

/* Attributes count as the commit has them, not as the index or the working tree of the moment. */
static int ignore_index(struct git_commit_files *g)
{
    git_index *empty = NULL;
    int rc = git_index_new(&empty);

    if (rc == 0)
        rc = git_repository_set_index(g->repo, empty);
    git_index_free(empty);
    return rc;
}

static int open_repository(struct git_commit_files *g, const char *where, struct err *e)
{
    int rc = git_repository_open_ext(&g->repo, where, 0, NULL);
    const char *root;
    size_t n;

    if (rc == GIT_ENOTFOUND)
        return err_set(e, ERR_NOT_FOUND, "%s is not in a git repository", where);
    if (rc < 0 || git_repository_odb(&g->odb, g->repo) < 0 || ignore_index(g) < 0)
        return err_set(e, ERR_INVALID, "the git repository of %s cannot be read: %s", where, git_why());
    g->facts.bare = git_repository_is_bare(g->repo);
    root = g->facts.bare ? git_repository_path(g->repo) : git_repository_workdir(g->repo);
    n = strlen(root);
    g->facts.root = xstrndup(root, n > 1 && root[n - 1] == '/' ? n - 1 : n);
    return 0;
}

static int open_files(const char *where, const char *ref, struct git_commit_files **out, struct err *e)
{
    struct git_commit_files *g;
    git_commit *commit = NULL;
    int rc = start(e);

    if (rc < 0)
        return rc;
    g = xcalloc(1, sizeof(*g));
    rc = open_repository(g, where, e);
    if (rc == 0)
        rc = git_ref_commit(g->repo, ref, &commit, e);
    if (rc == 0 && git_commit_tree(&g->tree, commit) < 0)
        rc = err_set(e, ERR_INVALID, "commit %s cannot be read: %s", ref, git_why());
    if (rc == 0) {
        git_oid_tostr(g->facts.commit, sizeof(g->facts.commit), git_commit_id(commit));
        git_oid_tostr(g->facts.tree, sizeof(g->facts.tree), git_tree_id(g->tree));
        g->attributes = (git_attr_options){
            .version = GIT_ATTR_OPTIONS_VERSION,
            .flags = GIT_ATTR_CHECK_INDEX_ONLY | GIT_ATTR_CHECK_NO_SYSTEM | GIT_ATTR_CHECK_INCLUDE_COMMIT,
            .attr_commit_id = *git_commit_id(commit),
        };
    }
    git_commit_free(commit);
    if (rc < 0)
        close_files(g);
    else
        *out = g;
    return rc;
}

static const struct git_facts *facts(const struct git_commit_files *g)
{
    return &g->facts;
}

static int damaged(struct git_commit_files *g, const char *path, struct err *e)
{
    err_set(e, ERR_INVALID, "%s at commit %.12s cannot be read: %s", path, g->facts.commit, git_why());
    return err_hint(e, "git fsck says what the repository lacks");
}

static int missing(struct git_commit_files *g, const char *path, struct err *e)
{
    return err_set(e, ERR_NOT_FOUND, "%s is not in commit %.12s", path, g->facts.commit);
}

/* Asks what an object is before it is loaded. */
static int check_size(struct git_commit_files *g, const git_oid *id, size_t max, const char *path, struct err *e)
{
    git_object_t type;
    size_t size;

    if (git_odb_read_header(&size, &type, g->odb, id) < 0)
        return damaged(g, path, e);
    if (size > max)
        return err_set(e, ERR_LIMIT, "%s at commit %.12s has %zu bytes, at most %zu", path, g->facts.commit, size, max);
    return 0;
}

/* The entry at `path`, walked from the root. *out is owned. */
static int find_entry(struct git_commit_files *g, const char *path, git_tree_entry **out, struct err *e)
{
    git_tree *tree = NULL, *next;
    const git_tree_entry *entry;
    const char *p = path;
    char name[256];
    int rc = git_tree_dup(&tree, g->tree);

    for (;;) {
        size_t n = strcspn(p, "/");

        if (n == 0 || n >= sizeof(name)) {
            rc = missing(g, path, e);
            break;
        }
        memcpy(name, p, n);
        name[n] = '\0';
        entry = git_tree_entry_byname(tree, name);
        if (!entry) {
            rc = missing(g, path, e);
            break;
        }
        if (!p[n]) {
            rc = git_tree_entry_dup(out, entry) < 0 ? damaged(g, path, e) : 0;
            break;
        }
        if (git_tree_entry_filemode(entry) != GIT_FILEMODE_TREE) {
            rc = err_set(e, ERR_INVALID, "%s at commit %.12s: '%s' is %s", path, g->facts.commit, name,
                         git_kind(git_tree_entry_filemode(entry)));
            break;
        }
        rc = check_size(g, git_tree_entry_id(entry), TREE_BYTES_MAX, path, e);
        if (rc < 0)
            break;
        if (git_tree_lookup(&next, g->repo, git_tree_entry_id(entry)) < 0) {
            rc = damaged(g, path, e);
            break;
        }
        git_tree_free(tree);
        tree = next;
        p += n + 1;
    }
    git_tree_free(tree);
    return rc;
}

/* A filter makes of the stored text another one at checkout: what a reader saw would not be what runs. */
static int check_filters(struct git_commit_files *g, const char *path, struct err *e)
{
    static const char *const names[] = {"filter", "working-tree-encoding"};
    const char *value;
    size_t i;

    for (i = 0; i < 2; i++) {
        if (git_attr_get_ext(&value, g->repo, &g->attributes, path, names[i]) < 0)
            return damaged(g, path, e);
        if (git_attr_value(value) == GIT_ATTR_VALUE_STRING)
            return err_set(e, ERR_INVALID, "%s at commit %.12s has the attribute %s=%s: files are read as they are stored",
                           path, g->facts.commit, names[i], value);
    }
    return 0;
}

static int read_blob(struct git_commit_files *g, const git_oid *id, const char *path, size_t max, struct buf *out, struct err *e)
{
    git_blob *blob = NULL;
    const char *text;
    size_t n;
    int rc = check_size(g, id, max, path, e);

    if (rc < 0)
        return rc;
    if (git_blob_lookup(&blob, g->repo, id) < 0)
        return damaged(g, path, e);
    text = git_blob_rawcontent(blob);
    n = (size_t)git_blob_rawsize(blob);
    if (n >= sizeof(LFS_POINTER) - 1 && memcmp(text, LFS_POINTER, sizeof(LFS_POINTER) - 1) == 0) {
        rc = err_set(e, ERR_INVALID, "%s at commit %.12s is a Git LFS pointer: its text is not in the repository", path,
                     g->facts.commit);
        err_hint(e, "store it as a plain file");
    } else {
        rc = check_filters(g, path, e);
    }
    if (rc == 0 && buf_add(out, text, n) < 0)
        rc = err_set(e, ERR_LIMIT, "%s at commit %.12s has %zu bytes, at most %zu", path, g->facts.commit, n, max);
    git_blob_free(blob);
    return rc;
}

static int read_file(struct git_commit_files *g, const char *path, size_t max, struct buf *out, struct err *e)
{
    git_tree_entry *entry = NULL;
    int rc = find_entry(g, path, &entry, e);

    if (rc < 0)
        return rc;
    if (git_tree_entry_filemode(entry) != GIT_FILEMODE_BLOB && git_tree_entry_filemode(entry) != GIT_FILEMODE_BLOB_EXECUTABLE)
        rc = err_set(e, ERR_INVALID, "%s at commit %.12s is %s", path, g->facts.commit, git_kind(git_tree_entry_filemode(entry)));
    else
        rc = read_blob(g, git_tree_entry_id(entry), path, max, out, e);
    git_tree_entry_free(entry);
    return rc;
}

static void list_folder(struct git_commit_files *g, const char *folder, git_name_fn fn, void *ctx)
{
    git_tree_entry *entry = NULL;
    git_tree *tree = NULL;
    struct err e = {0};
    size_t i;
    int rc = 0;

    if (!*folder)
        rc = git_tree_dup(&tree, g->tree);
    else if (find_entry(g, folder, &entry, &e) < 0 || git_tree_entry_filemode(entry) != GIT_FILEMODE_TREE ||
             check_size(g, git_tree_entry_id(entry), TREE_BYTES_MAX, folder, &e) < 0)
        rc = -1;
    else
        rc = git_tree_lookup(&tree, g->repo, git_tree_entry_id(entry));
    for (i = 0; rc == 0 && i < git_tree_entrycount(tree); i++)
        fn(ctx, git_tree_entry_name(git_tree_entry_byindex(tree, i)));
    git_tree_entry_free(entry);
    git_tree_free(tree);
}

extern const struct git_module midwatch_git_module;

__attribute__((visibility("default"))) const struct git_module midwatch_git_module = {
    .abi = MIDWATCH_GIT_ABI,
    .open = open_files,
    .facts = facts,
    .read = read_file,
    .list = list_folder,
    .close = close_files,
};
