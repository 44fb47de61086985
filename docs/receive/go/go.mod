module receive

go 1.22
