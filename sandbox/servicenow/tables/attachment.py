"""The table of attachments, as recorded."""

from sandbox.servicenow.tables.schema import Column, Table, audit, boolean, columns, integer, plain


def attachment_tables() -> list[Table]:
    """One table, whose rows belong to other records."""
    table = Table("sys_attachment", "Attachment", display="file_name")
    table.columns = (
        audit()
        | columns(
            Column("table_name", "Table name", "table_name", max_length=80),
            Column("table_sys_id", "Table sys ID", max_length=32),
            Column("file_name", "File name", max_length=100),
            Column("content_type", "Content type", max_length=255),
            Column("state", "State", default="pending"),
            Column("hash", "SHA256 Hash", max_length=64),
            integer("size_bytes", "Size bytes"),
            integer("size_compressed", "Size compressed"),
            integer("chunk_size_bytes", "Chunk size bytes", "700000"),
            boolean("compressed", "Compressed", "true"),
        )
        | plain("average_image_color image_height image_width sys_tags")
    )
    return [table]
