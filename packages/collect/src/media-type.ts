/** A Content-Type, as far as it matters here. */
export interface MediaType {
  /** Lower case, without parameters; empty if none was sent. */
  readonly name: string;
  /** False if the charset is declared and is neither UTF-8 nor a part of it. */
  readonly isUtf8: boolean;
}

export function mediaTypeOf(contentType: string | undefined): MediaType {
  if (contentType === "application/json") return plainJson;
  const [name = ""] = (contentType ?? "").split(";", 1);
  const charset = /;\s*charset\s*=\s*"?([^";\s]+)/i.exec(contentType ?? "")?.[1]?.toLowerCase();
  return {
    name: name.trim().toLowerCase(),
    isUtf8: charset === undefined || ["utf-8", "utf8", "us-ascii"].includes(charset),
  };
}

const plainJson: MediaType = { name: "application/json", isUtf8: true };
