/* SPDX-License-Identifier: Apache-2.0 */
/* A name becomes a commit: HEAD, a name below refs/, a tag, a branch, a branch of
 * a remote, or the digits of a commit. What could mean two things is refused. */
#include "book/module_git_ref.h"

#include "base/str.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

enum { REF_BYTES_MAX = 200, REFS_LOOKED_AT = 2000, DIGITS_MIN = 7 };

#define MIRROR_HEAD "refs/midwatch/HEAD"    /* where cli/mirror keeps the remote's HEAD */

const char *git_kind(git_filemode_t mode)
{
    switch (mode) {
    case GIT_FILEMODE_LINK:
        return "a symbolic link, which is not followed";
    case GIT_FILEMODE_COMMIT:
        return "a submodule, which is not read";
    case GIT_FILEMODE_TREE:
        return "a folder";
    case GIT_FILEMODE_BLOB:
    case GIT_FILEMODE_BLOB_EXECUTABLE:
        return "a file";
    default:
        return "of a kind that git does not have";
    }
}

/* Looks up one full name; 1 if it is there. */
static int lookup(git_repository *repo, const char *full, git_reference **out, struct err *e)
{
    int rc = git_reference_lookup(out, repo, full);

    if (rc == 0)
        return 1;
    if (rc == GIT_ENOTFOUND || rc == GIT_EINVALIDSPEC)
        return 0;
    return err_set(e, ERR_INVALID, "%s cannot be read: %s", full, git_why());
}

/* The reference that a name means: *out NULL if there is none. */
static int find_ref(git_repository *repo, const char *name, git_reference **out, struct err *e)
{
    static const char *const folders[] = {"refs/tags/", "refs/heads/", "refs/remotes/"};
    char full[REF_BYTES_MAX + 32];
    git_reference *found;
    size_t i;
    int rc;

    *out = NULL;
    if (strcmp(name, "HEAD") == 0) {
        rc = lookup(repo, MIRROR_HEAD, out, e);
        return rc ? rc : lookup(repo, "HEAD", out, e);
    }
    if (strncmp(name, "refs/", 5) == 0)
        return lookup(repo, name, out, e);
    for (i = 0; i < 3; i++) {
        snprintf(full, sizeof(full), "%s%s", folders[i], name);
        rc = lookup(repo, full, &found, e);
        if (rc < 0)
            return rc;
        if (rc == 1 && *out) {
            err_set(e, ERR_INVALID, "'%s' is both %s and %s", name, git_reference_name(*out), full);
            err_hint(e, "give the full name");
            git_reference_free(found);
            git_reference_free(*out);
            return ERR_INVALID;
        }
        if (rc == 1)
            *out = found;
        if (*out && i == 1)         /* a remote's branch only counts where no name here is the same */
            return 0;
    }
    return 0;
}

static int by_digits(git_repository *repo, const char *digits, git_commit **out, struct err *e)
{
    size_t n = strlen(digits);
    git_object *object = NULL;
    git_oid id;
    int rc = git_oid_fromstrn(&id, digits, n);

    if (rc == 0)
        rc = git_object_lookup_prefix(&object, repo, &id, n, GIT_OBJECT_ANY);
    if (rc == GIT_EAMBIGUOUS)
        return err_set(e, ERR_INVALID, "'%s' is the beginning of several objects: give more digits", digits);
    if (rc == GIT_ENOTFOUND)
        return ERR_NOT_FOUND;
    if (rc == 0)
        rc = git_object_peel((git_object **)out, object, GIT_OBJECT_COMMIT);
    git_object_free(object);
    return rc < 0 ? err_set(e, ERR_INVALID, "'%s' is no commit that can be read: %s", digits, git_why()) : 0;
}

static bool is_digits(const char *s)
{
    size_t n = strlen(s);

    return n >= DIGITS_MIN && n <= GIT_OID_HEXSZ && strspn(s, "0123456789abcdef") == n;
}

static const char *short_name(const char *full)
{
    static const char *const folders[] = {"refs/tags/", "refs/heads/", "refs/remotes/"};
    size_t i;

    for (i = 0; i < 3; i++) {
        if (strncmp(full, folders[i], strlen(folders[i])) == 0)
            return full + strlen(folders[i]);
    }
    return full;
}

static int not_found(git_repository *repo, const char *name, struct err *e)
{
    const char *names[REFS_LOOKED_AT], *near;
    git_strarray refs = {0};
    size_t i, n = 0;

    git_reference_list(&refs, repo);
    for (i = 0; i < refs.count && n < REFS_LOOKED_AT; i++)
        names[n++] = short_name(refs.strings[i]);
    near = str_nearest(str_of(name), names, n);
    err_set(e, ERR_NOT_FOUND, "there is no commit, tag or branch '%s'%s", name,
            git_repository_is_shallow(repo) == 1 ? " in this shallow clone" : "");
    if (near)
        err_hint(e, "did you mean '%s'?", near);
    else if (n == 0)
        err_hint(e, "the repository has no commits yet");
    else
        err_hint(e, "it has %s%s", names[0], n > 1 ? " and others" : "");
    git_strarray_dispose(&refs);
    return ERR_NOT_FOUND;
}

static int by_name(git_repository *repo, const char *name, git_commit **out, struct err *e)
{
    git_reference *ref = NULL;
    int rc = find_ref(repo, name, &ref, e);

    if (rc < 0)
        return rc;
    if (!ref)
        rc = is_digits(name) ? by_digits(repo, name, out, e) : ERR_NOT_FOUND;
    else if (git_reference_peel((git_object **)out, ref, GIT_OBJECT_COMMIT) < 0)
        rc = strcmp(name, "HEAD") == 0 ? ERR_NOT_FOUND
                                       : err_set(e, ERR_INVALID, "'%s' is no commit that can be read: %s", name, git_why());
    else
        rc = 0;
    git_reference_free(ref);
    return rc == ERR_NOT_FOUND ? not_found(repo, name, e) : rc;
}

/* Cuts "~N" off; -1 if what stands there is no number. */
static long generation(char *name)
{
    char *tilde = strrchr(name, '~'), *end;
    long n;

    if (!tilde)
        return 0;
    *tilde = '\0';
    n = isdigit((unsigned char)tilde[1]) ? strtol(tilde + 1, &end, 10) : -1;
    return n >= 0 && *end == '\0' && n <= 100000 ? n : -1;
}

int git_ref_commit(git_repository *repo, const char *ref, git_commit **out, struct err *e)
{
    char name[REF_BYTES_MAX];
    git_commit *tip = NULL;
    long n;
    int rc;

    if (!*ref || *ref == '-' || strlen(ref) >= sizeof(name) || strpbrk(ref, " :?*[\\^@"))
        return err_set(e, ERR_INVALID, "'%.60s' names no commit: give a branch, a tag, or the digits of a commit", ref);
    snprintf(name, sizeof(name), "%s", ref);
    n = generation(name);
    if (n < 0)
        return err_set(e, ERR_INVALID, "'%s': behind ~ stands how many commits to go back", ref);
    rc = by_name(repo, name, &tip, e);
    if (rc < 0 || n == 0) {
        *out = tip;
        return rc;
    }
    rc = git_commit_nth_gen_ancestor(out, tip, (unsigned)n);
    git_commit_free(tip);
    if (rc < 0)
        return err_set(e, ERR_NOT_FOUND, "'%s' has no %ld commits before it%s", name, n,
                       git_repository_is_shallow(repo) == 1 ? " in this shallow clone" : "");
    return 0;
}
