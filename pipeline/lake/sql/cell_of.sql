-- cell_of(instant, bin_s): the number of the cell an instant lies in; a cell is as long as divides both bin_s and a quarter
-- of an hour, counted from 1970 UTC, so that each lies in one bin of camera_bins, whatever the camera's time zone.
CREATE MACRO cell_of(instant, bin_s) AS epoch_us(instant) // (gcd(bin_s, 900) * 1000000);
