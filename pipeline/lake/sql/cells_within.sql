-- cells_within(instant, length_s, bin_s): the numbers of the cells (see cell_of) of a bin that begins at an instant, a list.
CREATE MACRO cells_within(instant, length_s, bin_s) AS
    range(epoch(instant)::BIGINT // gcd(bin_s, 900), (epoch(instant)::BIGINT + length_s) // gcd(bin_s, 900));
