/** Strings for each format: `good` ones are of it, `near` ones are at its edges, on either side. */

export interface FormatSamples {
  readonly good: readonly string[];
  readonly near: readonly string[];
}

/** The formats that have generators of their own, date and date-time, are not here. */
export const formatSamples: Readonly<Record<string, FormatSamples>> = {
  time: {
    good: ["03:04:05Z", "03:04:05.123+05:30"],
    near: ["03:04:05z", "23:59:60Z", "24:00:00Z", "03:04:05", "3:04:05Z", "03:04Z", "03:04:05+24:00"],
  },
  duration: {
    good: ["P1D", "P1Y2M3DT4H5M6S", "PT1H", "P1W"],
    near: ["P", "PT", "P1", "1D", "P1H", "P1W2D", "P0.5D", "-P1D", "p1d", "P1S", "PT1D"],
  },
  email: {
    good: ["a@b.co", "a.b+c@d-e.example"],
    near: [
      "a@b",
      "a@",
      "@b.co",
      "a b@c.de",
      "a@b..co",
      "é@b.co",
      "A@B.CO",
      '"a b"@c.de',
      "a@[127.0.0.1]",
      "a.@b.co",
      "a@b.co\n",
    ],
  },
  hostname: {
    good: ["example.com", "a", `${"a".repeat(63)}.com`],
    near: [
      "a.",
      "-a.com",
      "a-.com",
      "a..b",
      "ex_ample.com",
      "é.com",
      `${"a".repeat(64)}.com`,
      "",
      "a".repeat(254),
      "A.B",
    ],
  },
  ipv4: {
    good: ["127.0.0.1", "255.255.255.255"],
    near: ["256.0.0.1", "1.2.3", "1.2.3.4.5", "01.2.3.4", "0.0.0.0", "1.2.3.4 ", "1.2.3.4\n", "١.2.3.4"],
  },
  ipv6: {
    good: ["::1", "2001:db8::1", "1:2:3:4:5:6:7:8", "::ffff:1.2.3.4"],
    near: [
      "::",
      "1:2:3:4:5:6:7",
      "1::2::3",
      "12345::",
      "fe80::1%eth0",
      "ABCD::",
      "1:2:3:4:5:6:7::",
      "::1.2.3",
    ],
  },
  uri: {
    good: ["https://example.com/a?b=c#d", "urn:isbn:1", "mailto:a@b.co"],
    near: [
      "/a",
      "a b:c",
      "https://é.com/",
      "http://[::1]/",
      "a:",
      ":a",
      "https://a/%zz",
      "https://a/%41",
      "HTTPS://A",
    ],
  },
  "uri-reference": {
    good: ["/a/b", "a", "https://example.com"],
    near: ["", "#f", "//h/p", "a b", "\\a", "?q=1", "%", "é"],
  },
  "uri-template": {
    good: ["/a/{b}", "{+a,b}"],
    near: ["/a/{b", "}", "/a/{b:3}", "{?x*}", "{}", "é", "a b", "{b:0}"],
  },
  uuid: {
    good: ["0190a5a5-58f0-7000-8000-000000000000", "0190A5A5-58F0-7000-8000-00000000000A"],
    near: [
      "00000000-0000-0000-0000-000000000000",
      "urn:uuid:0190a5a5-58f0-7000-8000-000000000000",
      "0190a5a558f070008000000000000000",
      "{0190a5a5-58f0-7000-8000-000000000000}",
      "0190a5a5-58f0-7000-8000-00000000000g",
      "0190a5a5-58f0-7000-8000-000000000000\n",
      "0190a5a5-58f0-7000-8000-00000000000",
    ],
  },
  "json-pointer": { good: ["", "/a/b", "/a~0b~1c"], near: ["/", "a", "/a~", "/a~2", "#/a", "//"] },
  "relative-json-pointer": { good: ["0", "1/a", "2#"], near: ["01", "-1", "a", "0/a~2", "", "0#/a", "12/"] },
  regex: {
    good: ["^a$", "[a-z]+", "(?:a|b)*"],
    near: ["(", "\\p{L}", "a{2,1}", "(?<n>a)\\k<n>", "\\Z", "*", "[", ""],
  },
};
