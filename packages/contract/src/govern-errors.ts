import type { ErrorCodeEntry } from "./error-code-entry.ts";

/** The part of the list in errors.ts that access, audit and privacy have. */
export const governErrorCodes = {
  // Access and audit
  token_missing: {
    status: 401,
    meaning: "The API of this instance asks for a token, and the request shows none.",
    remedy: 'Make one with weir token create, and send it as "Authorization: Bearer TOKEN".',
  },
  token_invalid: {
    status: 401,
    meaning: "The token that a request shows is unknown, revoked or expired.",
    remedy: "weir token list shows the tokens that there are; make a new one with weir token create.",
  },
  column_masked: {
    status: 403,
    meaning: "Rows of the table are found by a column that the role of the token does not see.",
    remedy: "Use a token of a role that sees it; access.columns of the project says which do.",
  },
  role_insufficient: {
    status: 403,
    meaning: "The role of the token does not allow what the request asks for.",
    remedy: "Use a token of a role that does; docs/guide/access.md lists what each may do.",
  },
  token_exists: {
    status: 409,
    meaning: "There is a token of this name already.",
    remedy: "Choose another name, or revoke that token first.",
  },
  tokens_unreadable: {
    meaning:
      "The file of an API token is damaged. Nothing starts, as one token more or less may be the wrong one.",
    remedy: "Remove the file: its token is void then. Make a new one with weir token create.",
  },
  audit_broken: {
    status: 503,
    meaning: "The end of the audit log is not what Weir wrote. Nothing that has to be recorded is done.",
    remedy:
      "weir audit verify tells where. Keep the folder govern/audit for whoever has to look into it, and put it aside: a new log begins.",
  },
  audit_unwritable: {
    status: 503,
    meaning: "The audit log cannot be written, so what has to be recorded is not done. Ingestion goes on.",
    remedy: "Free space on the disk, or mend its permissions; the next request tries again.",
  },

  // Privacy
  vault_key_missing: {
    status: 503,
    meaning:
      "The master key of the vault is not where the project says. Without it no token can be resolved and no new one made, so the engine does not start.",
    remedy:
      "Put the key back where it was. There is no way around it: what it wrapped cannot be read without it.",
  },
  vault_key_wrong: {
    status: 503,
    meaning: "The master key is none, or not the one that the vault was made with.",
    remedy: "Use the key that the vault was made with; a new key does not open an old vault.",
  },
  vault_unreadable: {
    status: 503,
    meaning: "The vault cannot be opened.",
    remedy: "Check the permissions and the disk of the folder vault in the data directory, or restore it.",
  },
  token_unknown: {
    status: 404,
    meaning: "The vault has no value for a token: there never was one, or its subject was erased.",
    remedy: "Nothing brings back what was erased. Check the token for typing errors.",
  },
  vault_missing: {
    status: 404,
    meaning: "This project keeps no vault, as none of its fields is tagged as personal.",
    remedy: "docs/guide/privacy.md shows how fields are tagged.",
  },
  // Erasure
  erasure_invalid: {
    status: 400,
    meaning: "An erasure names no identifier, or one of a kind that the project does not have.",
    remedy:
      "weir erase --help shows how identifiers are given; docs/guide/erasure.md how a project declares them.",
  },
  erasure_too_large: {
    status: 409,
    meaning:
      "An erasure would reach more identifiers or records than the limits of the project allow. Nothing was erased.",
    remedy:
      "A dry run shows what it reaches. If all of it is of the one person, ask again with --allow-many (allowMany over HTTP) and the reason.",
  },
  erasure_blocked: {
    status: 409,
    meaning:
      "A table that has the person's rows is set aside, so that they cannot be taken out of it. Nothing was erased.",
    remedy: "weir status says why the table is set aside; correct it, restart, and ask again.",
  },
  certificate_key_missing: {
    status: 503,
    meaning:
      "The key that signed the certificates of erasures is not there, so no other can be signed in their chain.",
    remedy: "Put the file govern/erasures/key.pem back from a backup.",
  },
  certificate_broken: {
    meaning: "A file is no certificate of an erasure.",
    remedy: "Give the file as weir erase certificate wrote it.",
  },
} as const satisfies Record<string, ErrorCodeEntry>;
