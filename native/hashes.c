/* securepc_hashes: the tree head over a batch's entries, in one call (docs/decisions/0041).
 *
 * The same as securepc.ledger.merkle.root(securepc.wire.signed.batch.entry_leaves(key, entries)): leaves
 * SHA-256(00 || salt || entry), nodes SHA-256(01 || left || right), RFC 6962, section 2.1. OpenSSL hashes; what is saved
 * is a Python object and two contexts of OpenSSL for each hash, which cost more than the hash itself.
 */
#define PY_SSIZE_T_CLEAN
#define Py_LIMITED_API 0x030b0000
#include <Python.h>
#include <openssl/evp.h>
#include <string.h>

enum { HASH = 32, SALT = 16 };

static EVP_MD *sha256;

/* SHA-256 of up to three pieces; 0 where OpenSSL fails. */
static int hash(EVP_MD_CTX *context, unsigned char mark, const void *first, size_t first_size, const void *second,
                size_t second_size, unsigned char *out)
{
    return EVP_DigestInit_ex2(context, sha256, NULL) && EVP_DigestUpdate(context, &mark, 1) &&
           EVP_DigestUpdate(context, first, first_size) && EVP_DigestUpdate(context, second, second_size) &&
           EVP_DigestFinal_ex(context, out, NULL);
}

/* Leaf hashes into `level`, one after the other; 0 with an exception set where it can't be. */
static int hash_leaves(EVP_MD_CTX *context, const char *salts, PyObject *entries, Py_ssize_t count,
                       unsigned char *level)
{
    for (Py_ssize_t i = 0; i < count; i++) {
        char *entry;
        Py_ssize_t size;
        /* Borrowed: nothing below runs Python code, so the tuple holds it as long as it is read. */
        PyObject *item = PyTuple_GetItem(entries, i);
        if (item == NULL || PyBytes_AsStringAndSize(item, &entry, &size) < 0)
            return 0;
        if (!hash(context, 0, salts + i * SALT, SALT, entry, (size_t)size, level + i * HASH)) {
            PyErr_SetString(PyExc_RuntimeError, "OpenSSL could not hash");
            return 0;
        }
    }
    return 1;
}

/* Reduces `count` hashes to one, at the start of `level`; 0 with an exception set where it can't be. */
static int hash_nodes(EVP_MD_CTX *context, unsigned char *level, Py_ssize_t count)
{
    for (; count > 1; count = (count + 1) / 2) {
        for (Py_ssize_t i = 0; i + 1 < count; i += 2) {
            unsigned char *left = level + i * HASH;
            if (!hash(context, 1, left, HASH, left + HASH, HASH, level + i / 2 * HASH)) {
                PyErr_SetString(PyExc_RuntimeError, "OpenSSL could not hash");
                return 0;
            }
        }
        if (count & 1) /* an odd one at the end rises unpaired */
            memmove(level + count / 2 * HASH, level + (count - 1) * HASH, HASH);
    }
    return 1;
}

static PyObject *entries_root(PyObject *module, PyObject *arguments)
{
    const char *salts;
    Py_ssize_t salts_size, count;
    PyObject *entries, *root = NULL;
    (void)module;
    if (!PyArg_ParseTuple(arguments, "y#O:entries_root", &salts, &salts_size, &entries))
        return NULL;
    if (!PyTuple_Check(entries))
        return PyErr_SetString(PyExc_TypeError, "entries must be a tuple"), NULL;
    count = PyTuple_Size(entries);
    if (count < 1 || salts_size % SALT || salts_size / SALT != count)
        return PyErr_SetString(PyExc_ValueError, "at least one entry, and 16 bytes of salt for each"), NULL;

    unsigned char *level = PyMem_Malloc((size_t)count * HASH); /* twice the salts: it does not overflow */
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    if (level == NULL || context == NULL)
        PyErr_NoMemory();
    else if (hash_leaves(context, salts, entries, count, level) && hash_nodes(context, level, count))
        root = PyBytes_FromStringAndSize((const char *)level, HASH);
    EVP_MD_CTX_free(context);
    PyMem_Free(level);
    return root;
}

static PyMethodDef methods[] = {
    {"entries_root", entries_root, METH_VARARGS,
     "entries_root(salts: bytes, entries: tuple[bytes, ...]) -> bytes\n\n"
     "The RFC 6962 tree head over the entries of a batch, each with its 16 bytes of salt.\n\n"
     "Raises:\n    TypeError: other types. ValueError: no entries, or not as many salts."},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef module = {
    PyModuleDef_HEAD_INIT, "securepc_hashes", NULL, -1, methods, NULL, NULL, NULL, NULL,
};

PyMODINIT_FUNC PyInit_securepc_hashes(void)
{
    if (sha256 == NULL && (sha256 = EVP_MD_fetch(NULL, "SHA256", NULL)) == NULL)
        return PyErr_SetString(PyExc_ImportError, "OpenSSL has no SHA-256"), NULL;
    return PyModule_Create(&module);
}
