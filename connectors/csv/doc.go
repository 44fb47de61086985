// Package csv is the door to folders of CSV files: it reads millions of rows
// as a stream, in pages that cost the same however far into the file they lie,
// and writes records as files that appear whole or not at all.
//
// # One connection, one layout
//
// A model is a file below the connection's folder ("products.csv",
// "in/stock.csv"); nothing outside of it is opened, not through a symbolic
// link either. All files of a connection share its settings. Files that are
// written differently, or whose records are identified by another column, get
// a connection of their own to the same folder.
//
// A record's identity is its value of id_column. A line's number would change
// with the next export, so without id_column nothing is synced (fault
// csv.no_id_column); fields and counts are told all the same. Two lines with
// one identity are both given: which of them counts is the caller's to say.
//
// Who delivers files should write them elsewhere on the same disk and rename
// them into place. A file that is replaced or grows between two pages ends the
// reading with csv.file_changed; half a file that rests is not told from a
// whole one. Every process that syncs must see the folder under the same path.
//
// # Why a scanner of our own
//
// encoding/csv knows where in its input it stands, but that input is UTF-8: a
// UTF-16 file has no way back from there to a byte of the file. It takes a
// lone CR for text, reads a line of any length into memory, and one quote that
// is never closed swallows the rest of the file as one bad record. The scanner
// here works on the file's own bytes (every encoding it knows writes line
// ends, separators and quotes as ASCII does, in units of one byte or two), so
// that its offsets can be sought, its memory is bounded by one record, and a
// broken line costs itself only. Files are written by encoding/csv.
//
// # Bad lines
//
// Where the quotes are sound but the record is not (fields missing or too
// many, bytes that the encoding does not have, NUL, no identity, no time of
// change), the record is bad as a whole. Where the quotes are broken, nobody
// knows how far it was meant to reach: its first line is bad and reading goes
// on with the next line, so that no good line is lost. The lines inside a text
// whose quotes are broken are then judged one by one, and one that happens to
// look like a record is read as one. A record may have 1 MB.
//
// Empty lines, and lines of nothing but separators, which spreadsheets leave
// behind, hold no record and are passed over.
//
// # Types
//
// They are guessed from the first 1,000 records and always towards text: a
// number has no leading zeros, no plus, no exponent and no thousands
// separators; dates and times are ISO 8601; booleans are true and false. A
// cell further on that does not fit the guess stays text, so that the mapping
// can name it; no cell is ever rounded or cut. With decimal "auto" the mark is
// what the file's numbers agree on; "1,500" alone proves neither, and stays
// text. text_columns are never guessed, nor is id_column.
//
// One cell among the first 1,000 records that is no number makes a column text.
// Where that is one in less than a hundred, it is told (FieldInfo.Doubt). Columns
// that number_columns names hold numbers whatever is in them: a cell that is none
// is record.Unreadable, which parks its own record with line and column. In them
// a plus and zeros before a number are taken, and blanks around it.
//
// # When records were changed
//
// Since and Until select by changed_column. A record whose cell is empty, a
// bad line, and every record of a connection without changed_column are always
// selected: reading too much costs time, reading too little loses changes. A
// date without a time means its whole day.
//
// What is in a file was changed before the file was written, so the clock of a
// model is its file's time (ModelNow): a watermark by the time of reading would
// lose what changes between an export and its reading.
//
// # Exports of runs
//
// A file is written from its beginning to its end, but the pages of a run come
// in any order, from several workers, and some twice. Each page rests in a file
// of its own below ".towpath" (with its count, a checksum, and a stamp of the
// settings it was written under), synced before the run's ledger counts it.
// Ending the run joins the pages beside the model and renames the result. What
// it came to is noted in the run's folder, so that ending it again changes
// nothing, also when a later run has written the file meanwhile; only a process
// that dies between renaming and noting writes the same content twice.
package csv
