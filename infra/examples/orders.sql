-- Each row becomes a document. `id` names it, and `owner` says whose it is: ana's rows are found by
-- user:ana and by nobody else. Rows for more than one reader have `acl` instead, an array such as
-- '{group:staff,user:ana}'. Every other column is told in the text and can be asked for by --where.
SELECT number AS id, customer AS owner, item, status, expected_on AS expected_delivery FROM orders
