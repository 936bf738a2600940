/**
 * Connected components by alternating stars (Kiveris et al., "Connected Components in MapReduce and Beyond", 2014):
 * every node's greater neighbours move to its least one, then every node and its lesser neighbours do, until all nodes
 * hang on the least of their component. O(log^2 n) rounds, each over a list of edges that does not grow.
 *
 * The least label handed from neighbour to neighbour (`USING KEY`) needs a round a step of the longest path. On one
 * core, that way and this one: a chain of 5,000 edges 1.8-4.9 s (by the order of its labels) and 35-50 ms; 50,000
 * pairs 264 and 27 ms; 50,000 random edges between 40,000 nodes 276 and 76 ms. A chain of 100,000: 0.63 s this way.
 *
 * @param edges a query of distinct `u`, `v` with u > v
 * @returns a query of `u`, `v`: each node that is not the least of its component, and the least
 */
export const componentsQuery = (edges: string): string => `WITH RECURSIVE _forest(u, v, _done) AS (
  SELECT u, v, FALSE FROM (${edges})
  UNION ALL
  (WITH _ends AS MATERIALIZED (
    SELECT u, v FROM _forest WHERE NOT _done UNION ALL SELECT v, u FROM _forest WHERE NOT _done
  ), _least AS (
    SELECT u, least(u, min(v)) AS m FROM _ends GROUP BY u
  ), _large AS MATERIALIZED (
    SELECT DISTINCT e.v AS u, l.m AS v FROM _ends e JOIN _least l ON l.u = e.u WHERE e.v > e.u
  ), _lesser AS MATERIALIZED (
    SELECT u, min(v) AS m FROM _large GROUP BY u
  ), _small AS MATERIALIZED (
    SELECT e.v AS u, l.m AS v FROM _large e JOIN _lesser l ON l.u = e.u WHERE e.v <> l.m UNION SELECT u, m FROM _lesser
  )
  SELECT u, v, NOT EXISTS (SELECT 1 FROM _small WHERE v IN (SELECT u FROM _small))
    AND (SELECT count(*) = count(DISTINCT u) FROM _small) FROM _small)
)
SELECT u, v FROM _forest WHERE _done`;
